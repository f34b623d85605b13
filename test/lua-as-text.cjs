/** Gives a test the text of a Lua script, as the bundler does for the handlers. */
module.exports = {
  process: (text) => ({ code: `module.exports = ${JSON.stringify(text)};` }),
};
