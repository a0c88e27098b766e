// TAP for the tests of clients in JavaScript: an object of functions, whose names are the properties.
//   run(tests).finally(() => pool.end());
'use strict';

// What a test returns that cannot be made here.
exports.skip = (reason) => ({ skipped: reason });

// `explain`: what is told of an error. TIMES=1 tells how long each test took.
exports.run = async (tests, explain = (error) => error.stack) => {
  console.log(`1..${Object.keys(tests).length}`);
  let number = 0;
  for (const [name, test] of Object.entries(tests)) {
    number += 1;
    const began = Date.now();
    try {
      const skipped = (await test())?.skipped;
      console.log(`ok ${number} - ${name}${skipped ? ` # SKIP ${skipped}` : ''}`);
    } catch (error) {
      process.exitCode = 1;
      console.log(`not ok ${number} - ${name}`);
      console.log(String(explain(error)).replace(/^/gm, '# '));
    }
    if (process.env.TIMES) console.log(`# ${Date.now() - began} ms`);
  }
};
