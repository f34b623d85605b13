import type { VectorCache } from '../caching/semantic-index';
import { bytesOf, vectorFrom } from '../caching/vector';
import type { Trip } from './valkey-store';

/** Vectors in the store, as text: their bytes in base64. */
export function vectorCache(trip: Trip): VectorCache {
  return {
    get: async (key) => {
      const [text] = await trip([{ call: 'GET', args: [key] }]);
      return typeof text === 'string' ? vectorFrom(Buffer.from(text, 'base64')) : undefined;
    },
    set: async (key, vector, lifeMs) => {
      await trip([{ call: 'SET', args: [key, bytesOf(vector).toString('base64'), 'PX', String(Math.ceil(lifeMs))] }]);
    },
  };
}
