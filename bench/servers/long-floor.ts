/** The floor with a response as long as the product's, the same for every review: what its bytes take, without what finds them. */

import { readConfig } from '../../src/config/config.ts';
import { decodeReview, encodeReview, type ReviewResponse } from '../../src/server/review.ts';
import { decide } from '../../src/sideload/decide.ts';
import { UNKNOWN_CLUSTER } from '../../src/sideload/settings.ts';
import { makeReviews } from '../reviews.ts';
import { serve } from './serve.ts';

const [first = ''] = makeReviews(1);
const { pod } = decodeReview(JSON.parse(first));
const encoded = encodeReview('', decide(pod, readConfig([], {}).sideload, UNKNOWN_CLUSTER));
const { response } = JSON.parse(encoded) as ReviewResponse;

await serve(({ uid }) => ({ ...response, uid }));
