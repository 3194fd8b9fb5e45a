/** What a serving agent says of a WAL file beside its bytes. */

/**
 * `whole`, `partial` or `absent`. A status of 404 alone tells nothing: it may be that of a proxy, of another server at this
 * address, or of an agent whose instance was renamed; only with `absent` a recovery may end there.
 */
export const standingHeader = "holdfast-wal";

/** Checksum of all bytes, whatever the range. Source: RFC 9530. */
export const digestHeader = "repr-digest";
