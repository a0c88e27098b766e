// examples/node, compiled into a folder of the test's own.
const { spawn } = require('node:child_process');
const fs = require('node:fs');
const path = require('node:path');
const { pathToFileURL } = require('node:url');

const k_example = path.resolve(__dirname, '../../examples/node');

function skip(reason) {
  console.log(`1..0 # SKIP ${reason}`);
  process.exit();
}

const on_path = (program) => process.env.PATH.split(path.delimiter).some((folder) => fs.existsSync(path.join(folder, program)));

// A folder that has everything that the example imports and is compiled with. Without it, or one of the programs, the test is skipped.
function find_modules(...programs) {
  const needed = ['pg', 'redis', 'typescript', '@types/node', '@types/pg'];
  const folders = [...(process.env.NODE_PATH ?? '').split(path.delimiter), path.join(k_example, 'node_modules'), '/usr/share/nodejs'];
  const found = folders.find((folder) => folder && needed.every((name) => fs.existsSync(path.join(folder, name, 'package.json'))));
  for (const program of programs) if (!on_path(program)) skip(`there is no ${program}`);
  return found ?? skip(`no folder has ${needed.join(', ')}`);
}

const compile = (modules, scratch) => new Promise((resolve, reject) => {
  for (const folder of ['config', 'src']) fs.cpSync(path.join(k_example, folder), path.join(scratch, 'example', folder), { recursive: true });
  for (const file of ['package.json', 'tsconfig.json']) fs.copyFileSync(path.join(k_example, file), path.join(scratch, 'example', file));
  fs.symlinkSync(modules, path.join(scratch, 'example/node_modules'));
  const { bin } = require(path.join(modules, 'typescript/package.json'));
  const compiler = spawn(process.execPath, [path.join(modules, 'typescript', bin.tsc), '--project', path.join(scratch, 'example')]);
  let output = '';
  compiler.stdout.on('data', (text) => { output += text; });
  compiler.on('exit', (code) => (code === 0 ? resolve() : reject(new Error(`tsc: ${output}`))));
});

const built = (scratch, file) => import(pathToFileURL(path.join(scratch, 'example/build', file)));

module.exports = { find_modules, compile, built };
