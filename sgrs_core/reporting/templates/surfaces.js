"use strict";

// The case's surfaces, drawn by niivue where there is WebGL 2; else a sentence stays in their place.
const TRANSLUCENT = 0.4;
const WHOLE = 0.8; // what niivue cuts off of long structures at scale 1, it shows at this one
const STEP = 10; // degrees that an arrow key turns
const FRONT_LEFT = [155, 20]; // where a reader stands at first, as in the figures: degrees

function bytesOf(base64) {
  return Uint8Array.from(atob(base64), (letter) => letter.charCodeAt(0)).buffer;
}

function colourOf(hex) {
  return [1, 3, 5].map((place) => parseInt(hex.slice(place, place + 2), 16));
}

function ground() {
  const parts = getComputedStyle(document.body).backgroundColor.match(/\d+/g).map(Number);
  return [...parts.slice(0, 3).map((part) => part / 255), 1];
}

async function showSurfaces(article) {
  const canvas = article.querySelector("canvas");
  const files = JSON.parse(article.querySelector("script").textContent);
  article.querySelector(".stage").hidden = false;
  article.querySelector(".missing").hidden = true;
  // The wheel scrolls the page, as elsewhere.
  canvas.addEventListener("wheel", (event) => event.stopImmediatePropagation());
  const view = new niivue.Niivue({
    backColor: ground(), show3Dcrosshair: false, isOrientCube: true, loadingText: "",
    dragAndDropEnabled: false, logLevel: "silent",
  });
  canvas.addEventListener("keydown", (event) => {
    const turn = { ArrowLeft: [-STEP, 0], ArrowRight: [STEP, 0], ArrowUp: [0, STEP], ArrowDown: [0, -STEP] };
    if (!(event.key in turn)) return;
    event.preventDefault();
    event.stopImmediatePropagation(); // niivue would look for a volume's next frame
    const { renderAzimuth, renderElevation } = view.scene;
    const [around, up] = turn[event.key];
    view.setRenderAzimuthElevation(renderAzimuth + around, renderElevation + up);
  });
  await view.attachToCanvas(canvas);
  function stand() {
    view.setRenderAzimuthElevation(...FRONT_LEFT);
    view.setScale(WHOLE * Math.min(1, canvas.clientWidth / canvas.clientHeight));
  }
  stand();
  article.querySelector("button").addEventListener("click", stand);

  // The ground truth comes last, as what is translucent must.
  const { prediction, truth } = article.dataset;
  const meshes = {};
  for (const place of [...files.keys()].slice(1).concat(0)) {
    if (!files[place]) continue; // an empty prediction
    const [hex, opacity] = place ? [prediction, 1] : [truth, TRANSLUCENT];
    const colour = new Uint8Array([...colourOf(hex), 255]);
    const name = `${place}.mz3`;
    const mesh = await niivue.NVMesh.readMesh(bytesOf(files[place]), name, view.gl, opacity, colour, true);
    view.addMesh(mesh);
    view.setMeshShader(mesh.id, "Diffuse"); // lit from where the reader stands
    meshes[place] = mesh;
  }

  const choice = article.querySelector("select");
  const withTruth = article.querySelector("input");
  function draw() {
    for (const [place, mesh] of Object.entries(meshes)) {
      mesh.visible = place === "0" ? withTruth.checked : place === choice.value;
    }
    view.drawScene();
  }
  choice.addEventListener("change", draw);
  withTruth.addEventListener("change", draw);
  draw();
  article.dataset.drawn = "";
}

const surfaces = document.getElementById("surfaces");
if (document.createElement("canvas").getContext("webgl2")) {
  // Only who scrolls there waits for it.
  new IntersectionObserver((entries, observer) => {
    if (!entries.some((entry) => entry.isIntersecting)) return;
    observer.disconnect();
    showSurfaces(surfaces);
  }, { rootMargin: "200px" }).observe(surfaces);
}
