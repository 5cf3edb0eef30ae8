#pragma once
// Reading a mapped file whose disk fails, or whose end was cut off, is a signal (SIGBUS) that ends
// the process. Within a guarded range such a page reads as zeros instead, and its owner is told.
// For data that can be made again: what was read since the flag was raised means nothing.

#include <atomic>
#include <cstddef>

namespace base {

/// The guard of one mapping. The first one made takes over the process's SIGBUS; faults outside of
/// every guarded range go where they went before.
class MappingGuard {
public:
    MappingGuard() = default;
    /// `begin`: what mmap gave, for reading alone; `damaged` is set by a thread that met a page
    /// that cannot be read. Both outlive the guard, which goes before munmap.
    MappingGuard(const void* begin, std::size_t bytes, std::atomic<bool>& damaged);
    ~MappingGuard();
    MappingGuard(MappingGuard&& other) noexcept;
    MappingGuard& operator=(MappingGuard&& other) noexcept;

private:
    void* range_ = nullptr;  ///< its place in the list that the signal's handler reads
};

}  // namespace base
