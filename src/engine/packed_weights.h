#pragma once
// The packed form (engine/kernels/packed.h) of a model's matrices, filled while the model already
// computes: mapped from a side file (engine/packed_file.h) whose checksums are compared, or packed
// from the stored form and then kept in a side file for the next start.

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <thread>
#include <vector>

#include "base/core/result.h"
#include "engine/graph/weight_gate.h"
#include "engine/packed_file.h"
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

struct PackedOptions {
    std::size_t threads = 1;  ///< that fill
    std::uint32_t layers = 0;
    /// Where side files are; empty: none is read or written.
    std::string dir = {};
    /// What the side file belongs to; empty: none is read or written.
    std::vector<StampedFile> model_files = {};
    /// Whether these files are still what their stamps say: else no side file is made of what was
    /// read from them. May be empty.
    std::function<bool()> model_is_unchanged = {};
    /// The stored bytes of a matrix are about to be read, and are read no more. May be empty.
    std::function<void(const TensorView&)> will_read = {}, was_read = {};
};

class PackedWeights {
public:
    /// Sets the `packed` of those matrices that have a packed form, closes `gate` and opens it
    /// stage by stage as they are filled. A side file that is missing, damaged at its ends or made
    /// for another version of either is made anew in the background; a matrix whose checksum
    /// differs is packed from the stored form and the file removed. `matrices` and `gate` must
    /// outlive the object, and `packed` must not be read before the gate says so. Errors:
    /// resource_exhausted; those of making `dir`.
    static base::Result<std::unique_ptr<PackedWeights>> begin(std::span<TensorView* const> matrices,
                                                              PackedOptions options,
                                                              WeightGate& gate);
    /// The same without a side file, done when it returns.
    static base::Result<std::unique_ptr<PackedWeights>> in_memory(
        base::ThreadPool& pool, std::span<TensorView* const> matrices);
    ~PackedWeights();  ///< Ends the filling; whoever waits at the gate is let through.
    PackedWeights(const PackedWeights&) = delete;
    PackedWeights& operator=(const PackedWeights&) = delete;

    /// What begin would take.
    static std::uint64_t bytes_needed(std::span<TensorView* const> matrices);

    std::uint64_t bytes() const { return bytes_; }  ///< 0: nothing is packed
    bool from_file() const { return from_file_; }   ///< else packed from the stored form
    /// Matrices of the side file that were damaged and packed again.
    std::uint32_t repaired() const { return repaired_; }
    /// Blocks until everything is filled and, where one is made, the side file is written or given
    /// up. For tests and tools.
    void wait_until_settled();

private:
    PackedWeights(std::vector<PlannedMatrix> planned, PackedOptions options, WeightGate& gate);
    base::Result<void> prepare();
    void run();
    void pack_stage(base::ThreadPool& pool, std::size_t begin, std::size_t end);
    void verify_stage(base::ThreadPool& pool, std::size_t begin, std::size_t end);
    void repair(base::ThreadPool& pool, const PlannedMatrix& matrix);
    void read_ahead(std::size_t index);
    void pack_stored(base::ThreadPool& pool, const PlannedMatrix& matrix, std::byte* out);
    void write_side_file(base::ThreadPool& pool);

    const std::vector<PlannedMatrix> planned_;
    const PackedOptions options_;
    WeightGate& gate_;
    const std::uint64_t bytes_;
    bool from_file_ = false, keep_ = false;
    PackedFile file_;
    PageMemory memory_;
    std::vector<PageMemory> repairs_;
    std::size_t ahead_ = 0, ahead_bytes_ = 0;  ///< first matrix not asked for, bytes asked for
    std::atomic<std::uint32_t> repaired_{0};
    std::atomic<bool> stopping_{false};
    std::thread thread_;
};

}  // namespace engine
