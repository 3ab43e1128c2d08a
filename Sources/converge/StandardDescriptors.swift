import Glibc

/// Descriptors 0 to 2, which a process may be started without (`converge chat <&-`). Whatever is opened next would get
/// their numbers, and a socket would be read as standard input, or written to by whatever complains.
enum StandardDescriptors {
    /// Which of them were closed.
    private(set) static nonisolated(unsafe) var closedAtStart: Set<Int32> = []  // written once, before any other thread

    /// Opens /dev/null in their places, the wrong way round (as GNU's `stdopen` does): nothing else can get the numbers,
    /// and reading and writing fail as on a closed descriptor. A secret that goes nowhere is no success.
    static func occupy() {
        for descriptor: Int32 in 0...2 where fcntl(descriptor, F_GETFD) < 0 && errno == EBADF {
            closedAtStart.insert(descriptor)
            let opened = open("/dev/null", descriptor == 0 ? O_WRONLY : O_RDONLY)
            guard opened == descriptor || dup2(opened, descriptor) == descriptor else { _exit(1) }
            if opened != descriptor { close(opened) }
        }
    }
}
