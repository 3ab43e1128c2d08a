import CLinux

/// What a long-lived program with many threads tells glibc's allocator.
public enum Allocator {
    /// Bounds how many arenas the threads share. Memory that goes from thread to thread would otherwise lie idle in each
    /// thread's own. Call it before there are threads.
    public static func limitArenas(to count: Int32) { mallopt(M_ARENA_MAX, count) }

    /// Gives free memory back to the system. Takes milliseconds: for after a mass disconnect, not for every day.
    public static func trim() { malloc_trim(0) }
}
