/** What a serving agent says of a WAL file beside its bytes. */

/**
 * `whole`, `partial` or `absent`. A status of 404 alone tells nothing: it may be that of a proxy, of another server at this
 * address, or of an agent whose instance was renamed; only with `absent` a recovery may end there.
 */
export const standingHeader = "holdfast-wal";

/**
 * With `absent`, where it is known: the system identifier of the cluster whose WAL this is. What another cluster's archive does
 * not have is no end of a recovery.
 */
export const systemHeader = "holdfast-wal-system";

/** Checksum of all bytes, whatever the range. Source: RFC 9530. */
export const digestHeader = "repr-digest";
