// Our engine and its peers behind one interface: `load(model)`, then `run()`. Each is fetched when it is
// first asked for, so that the time to a first result holds its download.

const bytes = async (path) => new Uint8Array(await (await fetch(path)).arrayBuffer());

async function ours(onCpu) {
  const { default: init, Engine } = await import("/pkg/engine.js");
  await init();
  const engine = await Engine.open(onCpu);
  return {
    engine,
    load: async (model) =>
      engine.load(await bytes(`/files/${model}/model.onnx`), await bytes(`/files/${model}/test_data_set_0/input_0.pb`)),
    run: () => engine.run(),
  };
}

async function onnxruntime(bundle, provider) {
  const ort = await import(`/peers/onnxruntime-web/dist/${bundle}`);
  ort.env.wasm.numThreads = 1;
  ort.env.wasm.wasmPaths = "/peers/onnxruntime-web/dist/";
  let session, feeds;
  return {
    load: async (model) => {
      session = await ort.InferenceSession.create(await bytes(`/files/${model}/model.onnx`), {
        executionProviders: [provider],
      });
      const shape = await (await fetch(`/files/${model}/input.json`)).json();
      const values = new Float32Array((await bytes(`/files/${model}/input.f32`)).buffer);
      feeds = { [session.inputNames[0]]: new ort.Tensor("float32", values, shape) };
    },
    run: async () => {
      const found = await session.run(feeds);
      return (await found[session.outputNames[0]].getData()).length;
    },
  };
}

const script = (src) =>
  new Promise((loaded, failed) => {
    document.head.append(Object.assign(document.createElement("script"), { src, onload: loaded, onerror: failed }));
  });

// TensorFlow.js reads no ONNX: the two operations that are models of their own here are called directly,
// with weights of the same shape.
async function tensorflow() {
  await script("/peers/@tensorflow/tfjs-core/dist/tf-core.min.js");
  await script("/peers/@tensorflow/tfjs-backend-webgpu/dist/tf-backend-webgpu.min.js");
  const tf = globalThis.tf;
  await tf.setBackend("webgpu");
  await tf.ready();
  let call;
  return {
    load: async (model) => {
      const shape = await (await fetch(`/files/${model}/input.json`)).json();
      const values = new Float32Array((await bytes(`/files/${model}/input.f32`)).buffer);
      if (model === "matmul") {
        const [x, w] = [tf.tensor(values, shape), tf.randomNormal([1024, 1024])];
        call = () => tf.matMul(x, w);
      } else if (model === "conv") {
        const x = tf.transpose(tf.tensor(values, shape), [0, 2, 3, 1]);
        const w = tf.randomNormal([3, 3, 64, 64]);
        call = () => tf.conv2d(x, w, 1, "same");
      } else {
        throw new Error("TensorFlow.js reads no ONNX");
      }
    },
    run: async () => {
      const result = tf.tidy(call);
      const values = await result.data();
      result.dispose();
      return values.length;
    },
  };
}

const engines = {
  "tessera.wasm": () => ours(true),
  "tessera.webgpu": () => ours(false),
  "onnxruntime-web.wasm": () => onnxruntime("ort.wasm.min.mjs", "wasm"),
  "onnxruntime-web.webgpu": () => onnxruntime("ort.webgpu.min.mjs", "webgpu"),
  "tfjs.webgpu": () => tensorflow(),
};

const opened = new Map();

async function open(engine) {
  if (!opened.has(engine)) opened.set(engine, await engines[engine]());
  return opened.get(engine);
}

globalThis.page = {
  // Milliseconds from the beginning of the page to a first result.
  async first(engine, model) {
    const ours = await open(engine);
    await ours.load(model);
    await ours.run();
    return performance.now();
  },

  // Milliseconds of the fastest of some runs.
  async fastest(engine, model, runs, patience) {
    const ours = await open(engine);
    await ours.load(model);
    await ours.run();
    let best = Infinity;
    const begun = performance.now();
    for (let i = 0; i < runs && performance.now() - begun < patience; i++) {
      const first = performance.now();
      await ours.run();
      best = Math.min(best, performance.now() - first);
    }
    return best;
  },

  async name(engine) {
    return (await open(engine)).engine.name();
  },

  // What came of ONNX's own cases, each a zip of its folder.
  async check(engine, cases) {
    const ours = await open(engine);
    const outcomes = [];
    for (const name of cases) outcomes.push(await ours.engine.check(await bytes(`/files/${name}.zip`)));
    return outcomes;
  },
};

document.documentElement.dataset.ready = "";
