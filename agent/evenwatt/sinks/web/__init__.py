"""The agent's one HTTP port: finished pages, questions about the history, a stream of ticks, the page."""

from evenwatt.sinks.web.answers import Page, Pages, json_page
from evenwatt.sinks.web.desk import Question
from evenwatt.sinks.web.server import WebServer

__all__ = ["Page", "Pages", "Question", "WebServer", "json_page"]
