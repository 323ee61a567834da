#!/bin/sh
# First start of the database container: the application's role owns its database and is no superuser,
# because row-level security does not bind superusers.
set -eu
psql -v ON_ERROR_STOP=1 -v password="$RUNAI_DATABASE_PASSWORD" --username "$POSTGRES_USER" <<'SQL'
CREATE ROLE runai LOGIN NOSUPERUSER NOBYPASSRLS PASSWORD :'password';
CREATE DATABASE runai OWNER runai;
SQL
