/** Whether this runs in the compiled executable, not from the sources. */
export const isExecutable = import.meta.path.startsWith("/$bunfs/");
