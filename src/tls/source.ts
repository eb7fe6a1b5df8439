/**
 * Serving certificates, from a directory, made locally, or signed by a CA that all replicas share. May import observe/ only:
 * start.ts hands it the store of the shared trust.
 */

import type { Logger } from 'pino';
import type { Metrics } from '../observe/metrics.ts';
import type { ReadinessCheck } from '../observe/readiness.ts';
import { followCertificateDirectory, readCertificateDirectory } from './directory.ts';
import type { ServingNames } from './names.ts';
import type { CertificatePair } from './pair.ts';
import type { TrustStore, TrustStoreNames } from './shared-trust.ts';
import type { KnownAuthority } from './shown.ts';
import type { TrustPolicy } from './trust.ts';

// What signs certificates takes a tenth of a second to load: it is loaded only where something is signed.

/** Where `npm start` keeps the certificates it makes, below the working directory. */
const LOCAL_CERT_DIR = 'certs';

/** Where the serving certificate comes from. */
export type Certificates =
  | { readonly source: 'directory'; readonly dir: string }
  | { readonly source: 'local'; readonly names: ServingNames }
  | { readonly source: 'self-managed'; readonly names: ServingNames; readonly policy: TrustPolicy; readonly objects: TrustStoreNames };

/** Called with each certificate that is to be served from now on, and the end of its validity. */
type OnPair = (pair: CertificatePair, notAfter: Date) => void;

/** A source of serving certificates that is followed. */
export interface FollowedCertificates {
  readonly readiness: () => ReadinessCheck;
  /** The CAs that replicas share; of self-managed certificates only. */
  readonly authorities: () => readonly KnownAuthority[];
  readonly stop: () => void;
}

/** A source of serving certificates that has begun. */
export interface CertificateSource {
  /** What to listen with. */
  readonly initial: CertificatePair;
  /** Reports every later certificate. Call it once, after the server listens. */
  readonly follow: (onPair: OnPair) => FollowedCertificates;
}

/**
 * Begins with the configured source.
 *
 * @param openStore opens the shared trust of self-managed certificates; called for those only
 * @throws Error when a directory holds no certificate that can be served; a cluster that does not answer is no error
 */
export async function openCertificateSource(
  certificates: Certificates,
  openStore: (objects: TrustStoreNames) => Promise<TrustStore>,
  log: Logger,
  metrics: Metrics,
): Promise<CertificateSource> {
  switch (certificates.source) {
    case 'directory':
      return fromDirectory(certificates.dir, log, metrics);
    case 'local': {
      const { ensureLocalCertificates } = await import('./local.ts');
      if (await ensureLocalCertificates(LOCAL_CERT_DIR, certificates.names)) {
        log.info({ dir: LOCAL_CERT_DIR }, 'made certificates for local use; ca.crt is what clients trust');
      }
      return fromDirectory(LOCAL_CERT_DIR, log, metrics);
    }
    case 'self-managed': {
      const { names, policy, objects } = certificates;
      const { manageCertificates } = await import('./self-managed.ts');
      const store = await openStore(objects);
      return {
        initial: await placeholder(names),
        follow: (onPair) => manageCertificates({ store, policy, names, log, metrics, onPair }),
      };
    }
  }
}

async function fromDirectory(dir: string, log: Logger, metrics: Metrics): Promise<CertificateSource> {
  const { pair, notAfter } = await readCertificateDirectory(dir);
  metrics.certificate(notAfter);
  return {
    initial: pair,
    follow: (onPair) => {
      let end = notAfter;
      const stop = followCertificateDirectory(dir, pair, {
        onPair: (next, nextEnd) => {
          end = nextEnd;
          onPair(next, nextEnd);
          metrics.certificateReload('ok');
          log.info({ dir, notAfter: end }, 'serving certificate replaced');
        },
        onProblem: (error) => {
          metrics.certificateReload('error');
          log.error({ err: error }, 'serving certificate not replaced: the last good one stays in use');
        },
      });
      const readiness = (): ReadinessCheck => ({
        name: 'certificate',
        ready: end > new Date(),
        detail: `from ${dir}, valid until ${end.toISOString()}`,
      });
      return { readiness, authorities: () => [], stop };
    },
  };
}

/** A listening server needs a certificate before the first one is signed; no client trusts this one. */
async function placeholder(names: ServingNames): Promise<CertificatePair> {
  const { issueServing, makeAuthority } = await import('./issue.ts');
  const now = new Date();
  const end = new Date(now.getTime() + 60 * 60 * 1000);
  return issueServing(await makeAuthority('openshell-sideload placeholder', now, end), names, now, end);
}
