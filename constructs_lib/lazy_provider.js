// Preloaded into jsii's Node process (NODE_OPTIONS=--require). The index.js of
// @cdktf/provider-aws requires some 2,200 modules; this script gives it a getter for each instead.
//
// It only acts if package.json names that package and if it knows every line of index.js. Node
// loads any other index.js as usual: slow, but correct.
//
// It also lets cdktf keep no stack trace of each token. Such a trace has frames of jsii alone, none of
// our code, and they take as long as 300 calls through jsii.
'use strict';
const Module = require('module');
const fs = require('fs');
const path = require('path');

const NAME = '@cdktf/provider-aws';
const STACK_TRACES = path.join('cdktf', 'lib', 'tokens', 'private', 'stack-trace.js');
const SUBMODULE = /^exports\.(\w+) = (?:__importStar\()?require\(["'](\.\/[\w./-]+)["']\)\)?;$/;
const HARMLESS = [
  /^\s*$/,
  /^"use strict";$/,
  /^\/\//, // comments and the source map
  /^\/\*\*?$/,
  /^ \*/,
  /^(?:exports\.\w+ = )+void 0;$/,
  /^Object\.defineProperty\(exports, "__esModule", \{ value: true \}\);$/,
];

/** The submodules of an index.js by export name, or null if it has an unknown line. */
function submodules(source) {
  const found = new Map();
  for (const line of source.split('\n')) {
    const match = SUBMODULE.exec(line);
    if (match) found.set(match[1], match[2]);
    else if (!HARMLESS.some((pattern) => pattern.test(line))) return null;
  }
  return found.size > 0 ? found : null;
}

function isProviderIndex(filename) {
  if (path.basename(filename) !== 'index.js' || !filename.includes('provider-aws')) return false;
  try {
    const root = path.dirname(path.dirname(filename));
    const manifest = JSON.parse(fs.readFileSync(path.join(root, 'package.json'), 'utf8'));
    return manifest.name === NAME && path.join(root, manifest.main) === filename;
  } catch {
    return false;
  }
}

const eager = Module._extensions['.js'];
Module._extensions['.js'] = function load(module, filename) {
  if (filename.endsWith(STACK_TRACES)) {
    module.exports.captureStackTrace = () => [];
    return undefined;
  }
  const found = isProviderIndex(filename)
    ? submodules(fs.readFileSync(filename, 'utf8'))
    : null;
  if (!found) return eager(module, filename);
  const exported = module.exports;
  Object.defineProperty(exported, '__esModule', { value: true });
  for (const [name, target] of found) {
    Object.defineProperty(exported, name, {
      configurable: true,
      enumerable: true,
      get() {
        const value = module.require(target);
        Object.defineProperty(exported, name, { configurable: true, enumerable: true, value });
        return value;
      },
    });
  }
  if (process.env.ENDPOINT_METER_TRACE_BINDINGS) {
    process.stderr.write(`lazy_provider: ${found.size} submodules on demand\n`);
  }
};
