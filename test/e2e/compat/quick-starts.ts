/** The quick starts of the originals' documents, word for word. */

/** The WAL-G exporter's. */
export const walgExporter = "./walg-exporter";

/** barman-metrics-exporter's: its configuration, and ExecStart of its unit. */
export const barmanExporterConfiguration = `address: 127.0.0.1
port: "2222"
integration_type: "shell"
cache_ttl: 50
checks_cache_ttl: 50
refresh_interval: 60
log_level: "warn"
`;
export const barmanExporter = "/opt/barman_exporter/exporter -config /etc/barman_exporter/config.yaml";
/** Names on the documents' page. */
export const barmanExporterMetrics = [
  "barman_backup_size",
  "barman_backup_wal_size",
  "barman_backups_failed",
  "barman_backups_total",
  "barman_first_backup",
  "barman_last_backup",
  "barman_last_backup_copy_time",
  "barman_metrics_update",
  "barman_up",
  "barman_last_backup_throughput",
  "barman_last_backup_wal_files",
  "barman_last_backup_wal_rate_per_second",
];

/** Its predecessor's. */
export const barmanPredecessor = "barman-exporter -c 60 all";

/** pgrwl's. */
export const pgrwlReceiveConfig = `cat <<EOF >config.yml
main:
  listen_port: 7070
  directory: wals
receiver:
  slot: pgrwl_v5
log:
  level: trace
  format: text
  add_source: true
EOF
`;
export const pgrwlReceive = `
export PGHOST=localhost
export PGPORT=5432
export PGUSER=postgres
export PGPASSWORD=postgres
export PGRWL_MODE=receive

pgrwl -c config.yml
`;
export const pgrwlServeConfig = `cat <<EOF >config.yml
main:
  listen_port: 7070
  directory: wals
log:
  level: trace
  format: text
  add_source: true
EOF
`;
export const pgrwlServe = `export PGRWL_MODE=serve

pgrwl -c config.yml
`;
/** %f and %p as PostgreSQL puts them in. */
export const pgrwlRestoreCommand = (file: string, path: string) =>
  "pgrwl restore-command --serve-addr=k8s-worker5:30266 %f %p".replace("%f", file).replace("%p", path);

/** prombackup's. */
export const prombackupServer = `prombackup-server \\
  -listen_address :8080 \\
  -prometheus_endpoint http://prometheus:9090 \\
  -snapshot_dir /storage/snapshots
`;
export const prombackupCreate = "prombackup -server http://prombackupserver:8080 create\n";
export const prombackupCreateCompressed = `PROMBACKUP_ENDPOINT=http://prombackupserver:8080 \\
prombackup create -format tgz -output /tmp/mybackup.tar.gz
`;
export const prombackupPrune = `PROMBACKUP_ENDPOINT=http://prombackupserver:8080 \\
prombackup prune -keep_within 12h
`;
