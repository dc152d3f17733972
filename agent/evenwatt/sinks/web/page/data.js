// What the agent answers, by paths beside the page, so that it may lie anywhere behind a proxy.

export class Refused extends Error {
  constructor(status, message) {
    super(message);
    this.status = status;
  }
}

export const ask = async (path, parameters = {}) => {
  const query = new URLSearchParams(parameters).toString();
  const answer = await fetch(`api/v1/${path}${query ? `?${query}` : ""}`);
  if (answer.ok) return answer.json();
  const text = await answer.text();
  let reason = text.trim();
  try {
    reason = JSON.parse(text).error ?? reason;
  } catch { /* plain text says it */ }
  throw new Refused(answer.status, reason.slice(0, 500));
};

// Events of the agent's ticks. Browsers connect again by themselves, but not after every kind of end.
export const listen = (onTick, onState) => {
  let source = null;
  let timer = null;
  const open = () => {
    source = new EventSource("api/v1/stream");
    source.addEventListener("open", () => onState("live"));
    source.addEventListener("tick", (event) => onTick(JSON.parse(event.data)));
    source.addEventListener("error", () => {
      onState("lost");
      if (source.readyState === EventSource.CLOSED) {
        clearTimeout(timer);
        timer = setTimeout(open, 3_000);
      }
    });
  };
  open();
  addEventListener("pagehide", () => source.close());
  addEventListener("pageshow", (event) => { if (event.persisted) open(); });
};
