/**
 * The load: a closed loop on each connection, the next request as soon as the answer is whole. On bare sockets, since
 * whatever this process spends is taken from the gateway that it measures. Each request asks something that was never
 * asked before, so no cache can answer it.
 */
import { connect } from 'node:net';

process.on('message', async (order) => process.send(await measure(order)));
process.send('listening');

let asked = 0;

async function measure({ port, headers, connections, milliseconds }) {
  const head = Object.entries({ ...headers, host: `127.0.0.1:${port}`, 'content-type': 'application/json' })
    .map(([name, value]) => `${name}: ${value}\r\n`)
    .join('');
  const times = [];
  const until = performance.now() + milliseconds;
  const started = performance.now();
  await Promise.all(Array.from({ length: connections }, () => loop(port, head, times, until)));
  const seconds = (performance.now() - started) / 1000;
  times.sort((a, b) => a - b);
  const at = (share) => times[Math.min(times.length - 1, Math.floor(times.length * share))];
  return { requests: times.length, perSecond: times.length / seconds, p50: at(0.5), p99: at(0.99) };
}

/** One connection, until the time is over. */
function loop(port, head, times, until) {
  return new Promise((resolve, reject) => {
    const socket = connect({ port, host: '127.0.0.1', noDelay: true });
    let sentAt;
    let received = '';
    const ask = () => {
      sentAt = performance.now();
      if (sentAt >= until) {
        socket.destroy();
        resolve();
        return;
      }
      socket.write(request(head));
    };
    socket.once('connect', ask).once('error', reject);
    socket.once('end', () => reject(new Error(`port ${port} closed a kept connection`)));
    socket.setEncoding('latin1').on('data', (text) => {
      received += text;
      const status = received.slice(9, 12);
      if (!isWhole(received)) return;
      if (status !== '200') return reject(new Error(`port ${port} answered ${received.slice(0, 1000)}`));
      if (/^x-cache: (?!miss)/im.test(received)) return reject(new Error(`port ${port}: not a cache miss`));
      received = '';
      times.push(performance.now() - sentAt);
      ask();
    });
  });
}

function request(head) {
  const question = `Does a request of the usual length, number ${++asked} of process ${process.pid}, pass through?`;
  const body = JSON.stringify({
    model: 'llama',
    messages: [
      { role: 'system', content: 'You are a careful assistant who answers in one short sentence and nothing more.' },
      { role: 'user', content: question },
    ],
    max_tokens: 64,
    temperature: 0.2,
  });
  return `POST /v1/chat/completions HTTP/1.1\r\n${head}content-length: ${body.length}\r\n\r\n${body}`;
}

/** Whether an answer has arrived in full: as many bytes as it says, or the last chunk. */
function isWhole(received) {
  const end = received.indexOf('\r\n\r\n');
  if (end < 0) return false;
  const length = /\r\ncontent-length: (\d+)/i.exec(received.slice(0, end))?.[1];
  return length === undefined ? received.endsWith('\r\n0\r\n\r\n') : received.length >= end + 4 + Number(length);
}
