#include "base/files/mapping_guard.h"

#include <signal.h>
#include <sys/mman.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstdint>
#include <mutex>
#include <utility>

namespace base {
namespace {

// A handler of a signal belongs to the process, so this list does, too. The handler may interrupt
// anything: it takes no lock and follows pointers that are set once. Places are used again, and
// never freed.
struct Range {
    std::atomic<std::uintptr_t> begin{0}, end{0};  ///< begin 0: nobody's
    std::atomic<std::atomic<bool>*> damaged{nullptr};
};
struct Chunk {
    std::array<Range, 256> ranges;
    std::atomic<Chunk*> next{nullptr};
};
static_assert(std::atomic<std::uintptr_t>::is_always_lock_free);

Chunk first_chunk;
std::mutex taking;  // of places
struct sigaction before {};
std::uintptr_t page_bytes = 0;

bool read_as_zeros(std::uintptr_t address) {
    for (Chunk* chunk = &first_chunk; chunk != nullptr; chunk = chunk->next.load()) {
        for (Range& range : chunk->ranges) {
            const std::uintptr_t begin = range.begin.load();
            if (begin == 0 || address < begin || address >= range.end.load()) continue;
            void* page = reinterpret_cast<void*>(address / page_bytes * page_bytes);
            // A plain system call on Linux, though POSIX does not list it for handlers.
            if (::mmap(page, page_bytes, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1,
                       0) == MAP_FAILED) {
                return false;
            }
            range.damaged.load()->store(true);
            return true;
        }
    }
    return false;
}

void on_bus_error(int number, siginfo_t* info, void* context) {
    const int error = errno;
    const bool met = read_as_zeros(reinterpret_cast<std::uintptr_t>(info->si_addr));
    errno = error;
    if (met) return;
    if ((before.sa_flags & SA_SIGINFO) != 0) {
        before.sa_sigaction(number, info, context);
    } else if (before.sa_handler == SIG_DFL || before.sa_handler == SIG_IGN) {
        ::signal(SIGBUS, SIG_DFL);  // the access is made again, and ends the process
    } else {
        before.sa_handler(number);
    }
}

void take_over_signal() {
    page_bytes = static_cast<std::uintptr_t>(::sysconf(_SC_PAGESIZE));
    struct sigaction action {};
    action.sa_sigaction = on_bus_error;
    action.sa_flags = SA_SIGINFO | SA_ONSTACK;
    ::sigemptyset(&action.sa_mask);
    ::sigaction(SIGBUS, &action, &before);
}

/// Pre: `taking` is held.
Range& free_range() {
    for (Chunk* chunk = &first_chunk;; chunk = chunk->next.load()) {
        for (Range& range : chunk->ranges) {
            if (range.begin.load() == 0) return range;
        }
        if (chunk->next.load() == nullptr) chunk->next.store(new Chunk());
    }
}

}  // namespace

MappingGuard::MappingGuard(const void* begin, std::size_t bytes, std::atomic<bool>& damaged) {
    static std::once_flag once;
    std::call_once(once, take_over_signal);
    const std::lock_guard lock(taking);
    Range& range = free_range();
    const auto from = reinterpret_cast<std::uintptr_t>(begin);
    range.damaged.store(&damaged);
    range.end.store(from + bytes);
    range.begin.store(from);  // last: from here on it counts
    range_ = &range;
}

MappingGuard::~MappingGuard() {
    if (range_ == nullptr) return;
    const std::lock_guard lock(taking);
    static_cast<Range*>(range_)->begin.store(0);
}

MappingGuard::MappingGuard(MappingGuard&& other) noexcept
    : range_(std::exchange(other.range_, nullptr)) {}

MappingGuard& MappingGuard::operator=(MappingGuard&& other) noexcept {
    MappingGuard old(std::move(other));
    std::swap(range_, old.range_);
    return *this;
}

}  // namespace base
