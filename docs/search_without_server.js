// The search of the site runs in a Worker, which browsers refuse to a page that is opened as a file.
// There this class takes its place: it runs the script in a hidden frame, with the same messages.
if (window.location.protocol === "file:") {
  window.Worker = class extends EventTarget {
    constructor(script) {
      super();
      this.waiting = [];
      this.frame = document.createElement("iframe");
      this.frame.hidden = true;
      this.frame.addEventListener("load", () => {
        const inner = this.frame.contentWindow;
        inner.postMessage = (data) => this.dispatchEvent(new MessageEvent("message", { data }));
        for (const data of this.waiting.splice(0)) inner.dispatchEvent(new MessageEvent("message", { data }));
        this.waiting = null;
      });
      this.frame.srcdoc = `<script src="${new URL(script, window.location.href)}"></` + "script>";
      document.documentElement.append(this.frame);
    }

    postMessage(data) {
      if (this.waiting) this.waiting.push(data);
      else this.frame.contentWindow.dispatchEvent(new MessageEvent("message", { data }));
    }
  };
}
