/**
 * The webhook beside everything else that takes part in an admission: other webhooks, the API server's own plugins, the
 * controllers that make pods, and kubectl. Every test says what is stored. The subjects are in interplay/, on one control plane;
 * `-t` with the name of a subject runs that one.
 */

import { afterAll, beforeAll } from 'vitest';
import { setUp, tearDown } from './interplay/stage.ts';

beforeAll(setUp);
afterAll(tearDown);

import './interplay/other-webhooks.ts';
import './interplay/resources.ts';
import './interplay/pod-security.ts';
import './interplay/api-server-plugins.ts';
import './interplay/controllers.ts';
import './interplay/kubectl.ts';
// It restarts the API server.
import './interplay/always-pull-images.ts';
