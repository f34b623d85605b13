import { startEmbeddedAws } from '../../../bin/start/aws/embedded-aws';
import { serveParent } from './serve-parent';

/** The embedded SQS, DynamoDB and S3 in a process of their own. */
const credentials = { accessKeyId: 'local', secretAccessKey: 'local' };

void startEmbeddedAws({ credentials }).then(({ url }) => {
  serveParent<'url', string>(() => url);
});
