/**
 * Instance-hours below which no policy can go that answers every request of a trace on instances of a profile, however
 * much it knows of what comes.
 *
 * Each input token costs its time of prefill. Each later output token is one request's part of a step: that step takes
 * `stepMs` in common for at most `maxRequests` requests, and `stepMsPerRequest` for each. So no step gives tokens at less
 * than `stepMs / maxRequests + stepMsPerRequest` each, and the sum over all requests is machine time that some instance
 * has to spend. Waiting, whole instances, boots and uneven loads come on top of it in any real fleet.
 */
export function lowerBoundHours(trace, profile, minCapacity) {
  const perOutputToken = (profile.stepMs / profile.maxRequests + profile.stepMsPerRequest) / 1000;
  let seconds = 0;
  for (let request = 0; request < trace.arrivals.length; request++) {
    seconds += secondsOf(trace, request, profile, perOutputToken);
  }
  return Math.max(seconds, minCapacity * trace.duration) / 3600;
}

/** The same work by windows: how many instances, fully used, each window's arrivals keep busy. */
export function demandByWindow(trace, profile, windowSeconds) {
  const perOutputToken = (profile.stepMs / profile.maxRequests + profile.stepMsPerRequest) / 1000;
  const demand = new Float64Array(Math.ceil(trace.duration / windowSeconds));
  trace.arrivals.forEach((at, request) => {
    demand[Math.floor(at / windowSeconds)] += secondsOf(trace, request, profile, perOutputToken) / windowSeconds;
  });
  return demand;
}

function secondsOf(trace, request, profile, perOutputToken) {
  const prefill = trace.inputTokens[request] / profile.prefillTokensPerSecond;
  return prefill + (trace.outputTokens[request] - 1) * perOutputToken;
}
