import type { FastifyServerOptions } from 'fastify';

const refuse = () => (): never => {
  throw new Error('a route has a schema: a schema converts and drops members of a pod');
};

/** Options of a server whose routes have no schema. Without them Fastify loads the compilers of schemas, a tenth of the start. */
export const NO_SCHEMAS = {
  schemaController: { compilersFactory: { buildValidator: refuse, buildSerializer: refuse } },
} satisfies FastifyServerOptions;
