// Read by benchmarks/site.py: what a page's figures weigh, and how long a move takes to be painted.
window.probe = (() => {
  const nextFrame = () => new Promise((done) => requestAnimationFrame(done));

  // After a frame's own work comes its painting; a message posted in the frame arrives after that.
  const painted = () => new Promise((done) => requestAnimationFrame(() => {
    const channel = new MessageChannel();
    channel.port1.onmessage = done;
    channel.port2.postMessage(null);
  }));

  function positions(figure) {
    const data = figure.querySelector(".live-data");
    return data ? JSON.parse(data.textContent).words.length : 1;
  }

  async function move(slider, value) {
    await nextFrame();
    const begun = performance.now();
    slider.value = value;
    slider.dispatchEvent(new Event("input", { bubbles: true }));
    await painted();
    return performance.now() - begun;
  }

  return {
    figures: () => [...document.querySelectorAll("figure.live")]
      .map((figure) => ({ html: figure.outerHTML, positions: positions(figure) })),

    async moves(most) {
      const times = [];
      for (const slider of document.querySelectorAll("figure.live input[type=range]")) {
        slider.scrollIntoView({ block: "center" });
        for (let at = 0; at <= Math.min(most, Number(slider.max)); at++)
          times.push(await move(slider, at));
      }
      return times;
    },
  };
})();
