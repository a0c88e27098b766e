// Where the database is: development as it stands here, production from the environment.
import type { ClientConfig, PoolConfig } from 'pg';

export interface DatabaseConfig {
  host: string;
  port: number;
  database: string;
  username: string;
  password: string;
  ssl: boolean;
  pool: {
    min: number;
    max: number;
    idleTimeoutMillis: number;
  };
}

const developmentConfig: DatabaseConfig = {
  host: 'localhost',
  port: 5432,
  database: 'claude_gpt_dev',
  username: 'claude_gpt_user',
  password: 'claude_gpt_123',
  ssl: false,
  pool: {
    min: 2,
    max: 10,
    idleTimeoutMillis: 30000,
  },
};

const productionConfig = (): DatabaseConfig => ({
  host: process.env.DB_HOST || 'localhost',
  port: parsePort('DB_PORT', 5432),
  database: process.env.DB_NAME || 'claude_gpt_prod',
  username: process.env.DB_USERNAME || 'claude_gpt_user',
  password: process.env.DB_PASSWORD || '',
  ssl: true,
  pool: {
    min: 5,
    max: 25,
    idleTimeoutMillis: 30000,
  },
});

export const getDatabaseConfig = (): DatabaseConfig => (process.env.NODE_ENV === 'production' ? productionConfig() : developmentConfig);

function parsePort(name: string, otherwise: number): number {
  const text = process.env[name];
  if (!text) return otherwise;
  const port = Number(text);
  if (!/^\d+$/.test(text) || port < 1 || port > 65535) throw new Error(`${name} must be a port, not "${text}"`);
  return port;
}

// What pg takes. TLS asks for a certificate that is valid for the host, by the authorities that Node knows and those of
// the file that NODE_EXTRA_CA_CERTS names. Without a password, pg looks into PGPASSWORD and ~/.pgpass.
export function connectionOptions(config: DatabaseConfig): ClientConfig {
  return {
    host: config.host,
    port: config.port,
    database: config.database,
    user: config.username,
    ...(config.password ? { password: config.password } : {}),
    ssl: config.ssl,
    application_name: 'chat_server',
    keepAlive: true,
    connectionTimeoutMillis: 5000,
    query_timeout: 10000, // the client's own, so it also ends a wait for a server that is silently gone
  };
}

export function poolOptions(config: DatabaseConfig): PoolConfig {
  return { ...connectionOptions(config), ...config.pool };
}

// LISTEN needs a session of its own: behind a pooler in transaction mode, name the server itself here.
export function listenerOptions(config: DatabaseConfig): ClientConfig {
  return { ...connectionOptions(config), host: process.env.DB_LISTEN_HOST || config.host, port: parsePort('DB_LISTEN_PORT', config.port) };
}
