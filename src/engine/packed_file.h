#pragma once
// The side file that keeps a model's packed weights (kernels/packed.h) between starts: what is in
// it, whether it is the right one, and when it may go.
//
// Layout: the head, padded to a page; the matrices; one checksum per matrix; the head once more
// with the checksum of the checksums. A file that was cut short does not end so. Matrices lie in
// the order in which a pass reads them, so that a cold start reads the file from front to back.

#include <cstddef>
#include <cstdint>
#include <functional>
#include <span>
#include <string>
#include <vector>

#include "base/core/result.h"
#include "base/files/file_stamp.h"
#include "base/files/mapped_file.h"
#include "engine/tensor/tensor_view.h"

namespace base {
class ThreadPool;
}

namespace engine {

/// A file of a model and what it was when it was opened. Never what is found under the path later:
/// weights already read would be bound to the file that has replaced theirs.
struct StampedFile {
    std::string path;
    base::FileStamp stamp;
};

/// One matrix that has a packed form, and where that lies behind the head.
struct PlannedMatrix {
    TensorView* view = nullptr;
    std::size_t offset = 0, bytes = 0;
    std::uint32_t stage = 0;  ///< of graph/weight_gate.h
};

/// Those of `matrices` that have a packed form, by stage. `layers` is the stage of what is neither
/// in a layer nor known to come before them.
std::vector<PlannedMatrix> plan_packed(std::span<TensorView* const> matrices, std::uint32_t layers);
/// What the plan's matrices take together.
std::size_t packed_bytes_of(std::span<const PlannedMatrix> planned);

/// One for each packed matrix. Reads each once, by all threads of the pool; `before` is called with
/// every piece that a thread is about to read and may be empty.
std::vector<std::uint64_t> packed_checksums(
    base::ThreadPool& pool, std::span<const std::span<const std::byte>> matrices,
    const std::function<void(std::span<const std::byte>)>& before = {});

class PackedFile {
public:
    PackedFile() = default;

    /// Which file of `dir` belongs to the model in these files and this plan, whether it is there
    /// or not. Pre: model is not empty. Errors: invalid_argument (the path is too long to be
    /// recorded).
    static base::Result<PackedFile> describe(std::span<const PlannedMatrix> planned,
                                             const std::string& dir,
                                             std::span<const StampedFile> model);

    const std::string& path() const { return path_; }
    /// Maps the file when it is there, whole and the right one; false: it has to be made.
    bool map_if_current();
    /// Of the mapped file: where offset 0 of the plan is.
    const std::byte* matrices() const;
    std::span<const std::uint64_t> checksums() const { return checksums_; }
    /// Those of the planned matrices as they lie in the mapped file.
    std::vector<std::uint64_t> count_checksums(base::ThreadPool& pool,
                                               std::span<const PlannedMatrix> planned) const;

    /// Writes the file from packed matrices in memory. Errors: those of writing; resource_exhausted
    /// (the disk would be left with less than 1 GiB); cancelled (`stop_asked`, asked every few MB).
    base::Result<void> write(std::span<const std::byte> matrices,
                             std::span<const std::uint64_t> checksums,
                             const std::function<bool()>& stop_asked) const;

private:
    std::string path_, head_;
    std::size_t matrices_bytes_ = 0, count_ = 0;
    base::MappedFile map_;
    std::vector<std::uint64_t> checksums_;
};

/// Removes from `dir` the side files whose model is gone or has changed, those of other versions of
/// Dougong, and what killed runs left half-written. Files of other programs stay. Returns how many
/// went; a folder that cannot be read is none.
std::size_t sweep_packed_dir(const std::string& dir);

}  // namespace engine
