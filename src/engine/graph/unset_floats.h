#pragma once
// Floats that are written before they are read.

#include <memory>
#include <utility>
#include <vector>

namespace engine {

/// Leaves new elements as they are: a page that no pass has written is not taken from the system,
/// which is most of them as long as no prompt fills a step.
template <class T>
struct UnsetAllocator : std::allocator<T> {
    template <class U>
    struct rebind {
        using other = UnsetAllocator<U>;
    };
    template <class U>
    void construct(U* at) {
        ::new (static_cast<void*>(at)) U;
    }
    template <class U, class... Args>
    void construct(U* at, Args&&... args) {
        std::construct_at(at, std::forward<Args>(args)...);
    }
};
using UnsetFloats = std::vector<float, UnsetAllocator<float>>;

}  // namespace engine
