#!/bin/sh
# Run once by the image of Postgres, on an empty volume: a database and a role each for Dagster's own
# storage and for the warehouse. Afterwards nobody is superuser over the network: that role loses its
# password, and only the container's own socket lets it in.
set -eu

psql --no-psqlrc --quiet --set ON_ERROR_STOP=1 --username "$POSTGRES_USER" --dbname postgres <<'SQL'
\getenv password POSTGRES_PASSWORD
CREATE ROLE dagster LOGIN PASSWORD :'password';
CREATE ROLE rets LOGIN PASSWORD :'password';
CREATE DATABASE dagster OWNER dagster;
CREATE DATABASE rets OWNER rets;
REVOKE ALL ON DATABASE dagster, rets FROM PUBLIC;
ALTER ROLE CURRENT_USER PASSWORD NULL;
SQL
