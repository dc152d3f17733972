"""A server that speaks the language of Prometheus, as a process, and what it answers."""

from typing import Any

from engine_process import ChildServer, loopback_session

__all__ = ["PromqlServer"]

_CALL_SECONDS = 20.0


class PromqlServer(ChildServer):
    """One that was started, to be asked."""

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self.session = loopback_session()

    def stop(self) -> None:
        """End it in order."""
        super().stop()
        self.session.close()

    def answer(self, path: str, **parameters: Any) -> Any:
        """Return the `data` of an answer of its API; fail with its error."""
        asked = self.session.get(f"{self.url}/api/v1/{path}", params=parameters, timeout=_CALL_SECONDS)
        answer = asked.json()
        assert answer["status"] == "success", f"{answer.get('error')}: {parameters}"
        return answer["data"]

    def query(self, expression: str, **parameters: Any) -> list[dict[str, Any]]:
        """Return the series that an expression gives now, or at `time`."""
        found: list[dict[str, Any]] = self.answer("query", query=expression, **parameters)["result"]
        return found

    def values(self, expression: str, *labels: str, **parameters: Any) -> dict[tuple[str, ...], float]:
        """Return what an expression gives, by the values of some labels."""
        return {
            tuple(series["metric"].get(label, "") for label in labels): float(series["value"][1])
            for series in self.query(expression, **parameters)
        }
