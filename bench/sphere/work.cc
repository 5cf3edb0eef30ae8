// What a program asks of its kernel, again and again: one line "NAME MICROSECONDS" for one of each
// kind. Static, so that it runs in any root; writes in the folder it stands in.
#include <fcntl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <ctime>

namespace {

constexpr int kCalls = 20'000, kFiles = 4'000, kPrograms = 60;

double now_us() {
    timespec time{};
    ::clock_gettime(CLOCK_MONOTONIC, &time);
    return static_cast<double>(time.tv_sec) * 1e6 + static_cast<double>(time.tv_nsec) / 1e3;
}

template <class Work>
void measure(const char* name, int count, Work work) {
    const double begin = now_us();
    for (int i = 0; i < count; ++i) {
        if (!work()) {
            std::fprintf(stderr, "%s failed\n", name);
            std::exit(1);
        }
    }
    std::printf("%s %.4f\n", name, (now_us() - begin) / count);
}

bool run_a_program(const char* self) {
    const pid_t child = ::fork();
    if (child == 0) {
        ::execl(self, self, "nothing", nullptr);
        ::_exit(1);
    }
    int status = 1;
    return child > 0 && ::waitpid(child, &status, 0) == child && status == 0;
}

}  // namespace

int main(int argc, char** argv) {
    if (argc > 1 && std::strcmp(argv[1], "nothing") == 0) return 0;
    measure("getppid", kCalls, [] { return ::syscall(SYS_getppid) >= 0; });
    const int file = ::open("work-file", O_CREAT | O_WRONLY | O_TRUNC | O_CLOEXEC, 0600);
    const char text[256] = "text";
    if (file < 0 || ::write(file, text, sizeof(text)) != sizeof(text)) return 1;
    ::close(file);
    measure("open-read-close", kFiles, [] {
        char read_back[256];
        const int opened = ::open("work-file", O_RDONLY | O_CLOEXEC);
        const bool whole = ::read(opened, read_back, sizeof(read_back)) == sizeof(read_back);
        return ::close(opened) == 0 && whole;
    });
    ::unlink("work-file");
    measure("fork-exec-wait", kPrograms, [&] { return run_a_program(argv[0]); });
    return 0;
}
