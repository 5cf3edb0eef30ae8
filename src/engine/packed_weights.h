#pragma once
// The packed form (engine/kernels/packed.h) of a model's matrices, in memory or in a file that is
// made once and mapped at every later start.

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>

#include "base/core/result.h"
#include "base/files/mapped_file.h"
#include "engine/tensor/tensor_view.h"

namespace base {
class ThreadPool;
}

namespace engine {

/// Pages of its own, large ones where the system has them.
class PageMemory {
public:
    PageMemory() = default;
    ~PageMemory();
    PageMemory(PageMemory&& other) noexcept;
    PageMemory& operator=(PageMemory&& other) noexcept;

    /// Zeroed. Errors: resource_exhausted.
    static base::Result<PageMemory> allocate(std::size_t bytes);
    std::span<std::byte> bytes() const { return {data_, size_}; }

private:
    std::byte* data_ = nullptr;
    std::size_t size_ = 0;
};

class PackedWeights {
public:
    PackedWeights() = default;

    /// Packs `matrices` and sets their `packed`; those without a packed form stay as they are.
    /// Errors: resource_exhausted.
    static base::Result<PackedWeights> in_memory(base::ThreadPool& pool,
                                                 std::span<TensorView* const> matrices);
    /// The same through a file in `dir` (made when missing) that belongs to the model file at
    /// `model_path`: its path, size and time of change. A file that is missing, damaged at its
    /// head or ends, or made for another version of either is made again. Errors: those of writing
    /// and mapping files.
    static base::Result<PackedWeights> in_file(base::ThreadPool& pool,
                                               std::span<TensorView* const> matrices,
                                               const std::string& dir,
                                               const std::string& model_path);

    /// What in_memory would take.
    static std::uint64_t bytes_needed(std::span<TensorView* const> matrices);

    std::uint64_t bytes() const { return bytes_; }  ///< 0: nothing is packed

private:
    std::uint64_t bytes_ = 0;
    PageMemory memory_;
    base::MappedFile file_;
};

}  // namespace engine
