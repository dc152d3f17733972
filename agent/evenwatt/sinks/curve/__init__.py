"""The signature picture, cost per Mtok against load: where its marks stand, and how a terminal shows them.

`evenwatt report` draws it of what was observed, `evenwatt plan` of a machine on paper.
"""
