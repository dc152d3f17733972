"""What mkdocs is told beside mkdocs.yml: the README is the first page, and linked files come along."""

import re
from pathlib import Path

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page

ROOT = Path(__file__).parents[1]
BESIDE = re.compile(r"\]\((?:\.\./)+((?:systemd|dashboards|packaging)/[^)#]+|config\.example\.yaml)")
"""A link of a page to a file that is no page."""


def on_config(config: MkDocsConfig) -> MkDocsConfig:
    """List every decision in the navigation."""
    config.nav.append({"Decisions": [f"decisions/{name}" for name in _decisions()]})
    return config


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the README and what pages link to outside of docs/."""
    index = (ROOT / "README.md").read_text(encoding="utf-8")
    index = re.sub(r"\]\(docs/", "](", index)
    index = index.replace("](decisions/)", f"](decisions/{_decisions()[0]})")
    index = re.sub(r"\]\((config\.example\.yaml|SECURITY\.md|CONTRIBUTING\.md)", r"](files/\1", index)
    files.append(File.generated(config, "index.md", content=index))
    linked = {"config.example.yaml", "SECURITY.md", "CONTRIBUTING.md"}
    for page in (ROOT / "docs").rglob("*.md"):
        linked.update(BESIDE.findall(page.read_text(encoding="utf-8")))
    for name in sorted(linked):
        # As text: a page of its own would have links that lead nowhere.
        target = f"files/{name}.txt" if name.endswith(".md") else f"files/{name}"
        files.append(File.generated(config, target, content=(ROOT / name).read_text(encoding="utf-8")))
    return files


def on_page_markdown(markdown: str, page: Page, config: MkDocsConfig, files: Files) -> str:  # noqa: ARG001 -- its names
    """Lead links to files beside docs/ to where they come along."""
    up = "../" * page.file.src_uri.count("/")
    markdown = re.sub(r"\]\(files/(SECURITY|CONTRIBUTING)\.md", r"](files/\1.md.txt", markdown)
    return BESIDE.sub(rf"]({up}files/\1", markdown)


def _decisions() -> list[str]:
    return sorted(path.name for path in (ROOT / "docs" / "decisions").glob("*.md"))
