#include "engine/packed_weights.h"

#include <fmt/format.h>
#include <sys/mman.h>

#include <algorithm>
#include <cstring>
#include <filesystem>
#include <string_view>
#include <utility>
#include <vector>

#include "base/files/files.h"
#include "base/files/sha256.h"
#include "engine/kernels/packed.h"

namespace engine {
namespace {

using base::Result;

/// A file is its head, padded to a page, then the matrices in order, then the head once more: a
/// file that was cut short or whose end was never written does not end so.
constexpr std::size_t kHeadBytes = 4096;

struct PlannedMatrix {
    TensorView* view;
    std::size_t offset, bytes;
};

/// Where each matrix goes, from `offset` on.
std::vector<PlannedMatrix> plan(std::span<TensorView* const> matrices, std::size_t offset) {
    std::vector<PlannedMatrix> planned;
    for (TensorView* view : matrices) {
        const std::size_t bytes = packed_bytes(*view);  // whole cache lines: all stay aligned
        if (bytes == 0) continue;
        planned.push_back({view, offset, bytes});
        offset += bytes;
    }
    return planned;
}

std::size_t end_of(const std::vector<PlannedMatrix>& planned) {
    return planned.empty() ? 0 : planned.back().offset + planned.back().bytes;
}

void set_packed(const std::vector<PlannedMatrix>& planned, const std::byte* base) {
    for (const PlannedMatrix& matrix : planned) matrix.view->packed = base + matrix.offset;
}

std::string sha256_of(std::string_view text) {
    base::Sha256 hash;
    hash.update(std::as_bytes(std::span(text)));
    return hash.finish_hex();
}

/// What the file must begin and end with to be this one: everything its bytes depend on.
Result<std::string> head_of(const std::vector<PlannedMatrix>& planned,
                            const std::string& model_path) {
    std::error_code error;
    const auto size = std::filesystem::file_size(model_path, error);
    const auto changed = error ? std::filesystem::file_time_type()
                               : std::filesystem::last_write_time(model_path, error);
    if (error) {
        return base::fail_on(model_path, base::Code::unavailable, "cannot stat {}: {}", model_path,
                             error.message());
    }
    std::string directory =
        fmt::format("{} {} {}\n", model_path, size, changed.time_since_epoch().count());
    for (const PlannedMatrix& m : planned) {
        directory +=
            fmt::format("{} {} {} {} {} {}\n", m.view->name, tensor_type_name(m.view->type),
                        m.view->dims[0], m.view->rows(), m.offset, m.bytes);
    }
    return fmt::format("dougong packed weights {}\n{}\n", kPackedLayoutVersion,
                       sha256_of(directory));
}

/// Maps the file if it is whole and begins and ends with `head`; else nothing.
base::MappedFile map_if_current(const std::string& path, std::string_view head, std::size_t size) {
    Result<base::MappedFile> mapped = base::MappedFile::open(path);
    if (!mapped || mapped->bytes().size() != size) return {};
    const std::byte* begin = mapped->bytes().data();
    const auto at = [&](std::size_t offset) {
        return std::memcmp(begin + offset, head.data(), head.size()) == 0;
    };
    return at(0) && at(size - kHeadBytes) ? *std::move(mapped) : base::MappedFile();
}

Result<void> write_packed(base::ThreadPool& pool, const std::vector<PlannedMatrix>& planned,
                          const std::string& path, std::string_view head) {
    std::string padded(head);
    padded.resize(kHeadBytes);
    std::size_t largest = 0;
    for (const PlannedMatrix& matrix : planned) largest = std::max(largest, matrix.bytes);
    const PageMemory buffer = DG_TRY(PageMemory::allocate(largest));
    base::AtomicFileWriter writer = DG_TRY(base::AtomicFileWriter::create(path));
    DG_TRY(writer.write(padded));
    for (const PlannedMatrix& matrix : planned) {
        pack(pool, *matrix.view, buffer.bytes().data());
        DG_TRY(writer.write(std::span<const std::byte>(buffer.bytes().first(matrix.bytes))));
    }
    DG_TRY(writer.write(padded));
    return writer.commit();
}

}  // namespace

PageMemory::~PageMemory() {
    if (data_ != nullptr) ::munmap(data_, size_);
}
PageMemory::PageMemory(PageMemory&& other) noexcept
    : data_(std::exchange(other.data_, nullptr)), size_(std::exchange(other.size_, 0)) {}
PageMemory& PageMemory::operator=(PageMemory&& other) noexcept {
    std::swap(data_, other.data_);
    std::swap(size_, other.size_);
    return *this;
}

Result<PageMemory> PageMemory::allocate(std::size_t bytes) {
    PageMemory memory;
    void* at = ::mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (at == MAP_FAILED) {
        return base::fail(base::Code::resource_exhausted,
                          "no {} bytes of memory for packed weights: {}", bytes,
                          std::strerror(errno));
    }
    memory.data_ = static_cast<std::byte*>(at);
    memory.size_ = bytes;
    ::madvise(at, bytes, MADV_HUGEPAGE);  // a wish: fewer address translations per product
    return memory;
}

std::uint64_t PackedWeights::bytes_needed(std::span<TensorView* const> matrices) {
    return end_of(plan(matrices, 0));
}

Result<PackedWeights> PackedWeights::in_memory(base::ThreadPool& pool,
                                               std::span<TensorView* const> matrices) {
    const auto planned = plan(matrices, 0);
    PackedWeights weights;
    if (planned.empty()) return weights;
    weights.memory_ = DG_TRY(PageMemory::allocate(end_of(planned)));
    std::byte* base = weights.memory_.bytes().data();
    for (const PlannedMatrix& matrix : planned) pack(pool, *matrix.view, base + matrix.offset);
    set_packed(planned, base);
    weights.bytes_ = end_of(planned);
    return weights;
}

Result<PackedWeights> PackedWeights::in_file(base::ThreadPool& pool,
                                             std::span<TensorView* const> matrices,
                                             const std::string& dir,
                                             const std::string& model_path) {
    const auto planned = plan(matrices, kHeadBytes);
    PackedWeights weights;
    if (planned.empty()) return weights;
    const std::string model = std::filesystem::absolute(model_path).lexically_normal().string();
    const std::string head = DG_TRY(head_of(planned, model));
    const std::string path = fmt::format("{}/{}.packed", dir, sha256_of(model).substr(0, 16));
    const std::size_t size = end_of(planned) + kHeadBytes;
    weights.file_ = map_if_current(path, head, size);
    if (weights.file_.bytes().empty()) {
        DG_TRY(base::make_dirs(dir));
        DG_TRY(write_packed(pool, planned, path, head));
        weights.file_ = DG_TRY(base::MappedFile::open(path));
        if (weights.file_.bytes().size() != size) {
            return base::fail_on(path, base::Code::data_loss,
                                 "{} was replaced while it was made; start again", path);
        }
    }
    set_packed(planned, weights.file_.bytes().data());
    weights.bytes_ = end_of(planned) - kHeadBytes;
    return weights;
}

}  // namespace engine
