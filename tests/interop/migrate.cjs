// Run drizzle-orm's own migrator. usage: node migrate.cjs FOLDER (DATABASE_URL and NODE_PATH are set)
const { drizzle } = require("drizzle-orm/node-postgres");
const { migrate } = require("drizzle-orm/node-postgres/migrator");
const { Client } = require("pg");

async function main() {
  const client = new Client({ connectionString: process.env.DATABASE_URL });
  await client.connect();
  try {
    await migrate(drizzle({ client }), { migrationsFolder: process.argv[2] });
  } finally {
    await client.end();
  }
}

main().catch((error) => {
  console.error(error.cause?.message ?? error.message);
  process.exitCode = 1;
});
