#include "engine/packed_weights.h"

#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <utility>

#include "base/exec/thread_pool.h"
#include "base/files/files.h"
#include "engine/graph/tensor_set.h"
#include "engine/kernels/packed.h"

namespace engine {
namespace {

using base::Result;

/// What the disk is asked for before it is needed: enough to keep its queue busy.
constexpr std::size_t kReadAheadBytes = 64u << 20;
/// Stored bytes that are packed before their pages are given back.
constexpr std::size_t kPieceBytes = 8u << 20;

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
    return packed_bytes_of(plan_packed(matrices, 0));
}

PackedWeights::PackedWeights(std::vector<PlannedMatrix> planned, PackedOptions options,
                             WeightGate& gate)
    : planned_(std::move(planned)),
      options_(std::move(options)),
      gate_(gate),
      bytes_(packed_bytes_of(planned_)) {}

PackedWeights::~PackedWeights() {
    stopping_ = true;
    if (thread_.joinable()) thread_.join();
}

Result<std::unique_ptr<PackedWeights>> PackedWeights::begin(std::span<TensorView* const> matrices,
                                                            PackedOptions options,
                                                            WeightGate& gate) {
    const std::uint32_t layers = options.layers;
    std::unique_ptr<PackedWeights> weights(
        new PackedWeights(plan_packed(matrices, layers), std::move(options), gate));
    if (weights->planned_.empty()) return weights;
    DG_TRY(weights->prepare());
    gate.close();
    weights->thread_ = std::thread([self = weights.get()] { self->run(); });
    return weights;
}

Result<std::unique_ptr<PackedWeights>> PackedWeights::in_memory(
    base::ThreadPool& pool, std::span<TensorView* const> matrices) {
    WeightGate gate;  // nobody is told of it: all is filled before it goes
    PackedOptions options;
    options.threads = pool.threads();
    auto weights = DG_TRY(begin(matrices, std::move(options), gate));
    weights->wait_until_settled();
    return weights;
}

/// Finds the side file or takes memory, and points the views at where their bytes will be.
Result<void> PackedWeights::prepare() {
    if (!options_.dir.empty() && !options_.model_files.empty()) {
        if (auto file = PackedFile::describe(planned_, options_.dir, options_.model_files)) {
            file_ = *std::move(file);
            from_file_ = file_.map_if_current();
            keep_ = !from_file_;
            if (keep_) DG_TRY(base::make_dirs(options_.dir));
        }
    }
    if (!from_file_) memory_ = DG_TRY(PageMemory::allocate(bytes_));
    const std::byte* base = from_file_ ? file_.matrices() : memory_.bytes().data();
    for (const PlannedMatrix& matrix : planned_) matrix.view->packed = base + matrix.offset;
    return {};
}

void PackedWeights::run() {
    {
        base::ThreadPool pool(options_.threads);
        for (std::size_t begin = 0; begin < planned_.size() && !stopping_;) {
            const std::uint32_t stage = planned_[begin].stage;
            gate_.open_below(stage);
            std::size_t end = begin;
            while (end < planned_.size() && planned_[end].stage == stage) ++end;
            from_file_ ? verify_stage(pool, begin, end) : pack_stage(pool, begin, end);
            begin = end;
        }
        gate_.open_below(WeightGate::kAll);
        if (keep_ && !stopping_) write_side_file(pool);
    }
}

void PackedWeights::pack_stage(base::ThreadPool& pool, std::size_t begin, std::size_t end) {
    for (std::size_t i = begin; i < end && !stopping_; ++i) {
        read_ahead(i);
        pack_stored(pool, planned_[i], memory_.bytes().data() + planned_[i].offset);
    }
}

void PackedWeights::read_ahead(std::size_t index) {
    if (index > 0) ahead_bytes_ -= planned_[index - 1].bytes;
    while (ahead_ < planned_.size() && (ahead_ <= index || ahead_bytes_ < kReadAheadBytes)) {
        const PlannedMatrix& next = planned_[ahead_++];
        ahead_bytes_ += next.bytes;
        if (options_.will_read) options_.will_read(*next.view);
    }
}

/// In pieces, so that both forms of a large matrix are never in memory together.
void PackedWeights::pack_stored(base::ThreadPool& pool, const PlannedMatrix& matrix,
                                std::byte* out) {
    const TensorView& whole = *matrix.view;
    // A piece's packed form is as long as its share of the whole: full panels and cache lines.
    constexpr std::size_t kRowsUnit = 32;
    const std::size_t unit_bytes = kRowsUnit * row_bytes(whole.type, whole.dims[0]);
    const std::size_t piece = std::max<std::size_t>(kPieceBytes / unit_bytes, 1) * kRowsUnit;
    for (std::size_t row = 0; row < whole.rows(); row += piece) {
        const TensorView part = rows_of(whole, row, std::min(piece, whole.rows() - row));
        pack(pool, part, out);
        out += packed_bytes(part);
        if (options_.was_read) options_.was_read(part);
    }
}

/// Reading every byte for its checksum also brings the pages in, before a product waits for them.
void PackedWeights::verify_stage(base::ThreadPool& pool, std::size_t begin, std::size_t end) {
    const auto stage = std::span(planned_).subspan(begin, end - begin);
    const std::vector<std::uint64_t> found = file_.count_checksums(pool, stage);
    for (std::size_t i = 0; i < stage.size(); ++i) {
        if (found[i] != file_.checksums()[begin + i]) repair(pool, stage[i]);
    }
}

void PackedWeights::repair(base::ThreadPool& pool, const PlannedMatrix& matrix) {
    ++repaired_;
    ::unlink(file_.path().c_str());  // the next start makes a good one
    Result<PageMemory> memory = PageMemory::allocate(matrix.bytes);
    if (!memory) {
        matrix.view->packed = nullptr;  // the stored form serves, only slower
        return;
    }
    if (options_.will_read) options_.will_read(*matrix.view);
    pack_stored(pool, matrix, memory->bytes().data());
    matrix.view->packed = memory->bytes().data();
    repairs_.push_back(*std::move(memory));
}

/// Failing costs only time at the next start, which tries again.
void PackedWeights::write_side_file(base::ThreadPool& pool) {
    std::vector<std::span<const std::byte>> matrices;
    for (const PlannedMatrix& matrix : planned_) {
        matrices.push_back(memory_.bytes().subspan(matrix.offset, matrix.bytes));
    }
    const auto is_of_no_use = [this] {
        return stopping_ || (options_.model_is_unchanged && !options_.model_is_unchanged());
    };
    const auto written =
        file_.write(memory_.bytes(), packed_checksums(pool, matrices), is_of_no_use);
    static_cast<void>(written);
}

void PackedWeights::wait_until_settled() {
    if (thread_.joinable()) thread_.join();
}

}  // namespace engine
