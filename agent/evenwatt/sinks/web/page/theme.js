/* Before anything is painted: the theme that this reader chose. A classic script, so that nothing flashes. */
{
  const names = ["automatic", "light", "dark"];
  const read = () => {
    try {
      return localStorage.getItem("evenwatt-theme");
    } catch {
      return null; // storage may be forbidden
    }
  };
  const apply = (name) => {
    const chosen = names.includes(name) ? name : "automatic";
    if (chosen === "automatic") delete document.documentElement.dataset.theme;
    else document.documentElement.dataset.theme = chosen;
    return chosen;
  };
  let current = apply(read());
  document.addEventListener("DOMContentLoaded", () => {
    const button = document.getElementById("theme");
    const say = () => { button.textContent = `Theme: ${current}`; };
    say();
    button.addEventListener("click", () => {
      current = apply(names[(names.indexOf(current) + 1) % names.length]);
      try {
        localStorage.setItem("evenwatt-theme", current);
      } catch { /* it holds until the page is closed */ }
      say();
      document.dispatchEvent(new Event("evenwatt-theme"));
    });
  });
}
