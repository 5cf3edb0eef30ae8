#include "engine/model_files/planned_tensor.h"

#include <algorithm>
#include <atomic>
#include <cmath>
#include <limits>
#include <thread>

#include "base/exec/thread_pool.h"
#include "engine/tensor/quantize.h"

namespace engine {

using base::Code;
using base::fail;
using base::Result;

namespace {

constexpr std::uint64_t kTaskElements = 64u << 10;  // one task's floats fit a core's L2 cache
constexpr std::uint64_t kTasksPerWorker = 8;
constexpr std::uint64_t kNoRow = std::numeric_limits<std::uint64_t>::max();

std::size_t worker_count(std::uint32_t threads) {
    return threads != 0 ? threads : std::max(1u, std::thread::hardware_concurrency());
}

class Encoder {
public:
    explicit Encoder(std::uint32_t threads)
        : pool_(worker_count(threads)), floats_(pool_.threads()) {}

    Result<void> write(GgufWriter& writer, const PlannedTensor& tensor);

private:
    void encode_task(const PlannedTensor& tensor, std::uint64_t first, std::uint64_t rows,
                     std::vector<float>& floats, std::byte* out);

    base::ThreadPool pool_;
    std::vector<std::vector<float>> floats_;  // per worker
    std::vector<std::byte> bytes_;            // one batch of encoded rows
    std::atomic<std::uint64_t> bad_row_{kNoRow};
};

void Encoder::encode_task(const PlannedTensor& tensor, std::uint64_t first, std::uint64_t rows,
                          std::vector<float>& floats, std::byte* out) {
    const std::size_t columns = tensor.dims[0];
    floats.resize(rows * columns);
    tensor.read_rows(first, rows, floats.data());
    const auto bad = std::ranges::find_if(floats, [](float x) { return !std::isfinite(x); });
    if (bad != floats.end()) {
        bad_row_ = first + static_cast<std::uint64_t>(bad - floats.begin()) / columns;
        return;
    }
    const std::size_t stride = row_bytes(tensor.type, columns);
    for (std::uint64_t r = 0; r < rows; ++r) {
        quantize_row(tensor.type, floats.data() + r * columns, columns, out + r * stride);
    }
}

Result<void> Encoder::write(GgufWriter& writer, const PlannedTensor& tensor) {
    if (!tensor.stored.empty()) return writer.write_tensor_data(tensor.stored);
    const std::uint64_t rows_per_task = std::max<std::uint64_t>(1, kTaskElements / tensor.dims[0]);
    const std::uint64_t rows_per_batch = rows_per_task * kTasksPerWorker * pool_.threads();
    const std::size_t stride = row_bytes(tensor.type, tensor.dims[0]);
    for (std::uint64_t batch = 0; batch < tensor.rows(); batch += rows_per_batch) {
        const std::uint64_t rows = std::min(rows_per_batch, tensor.rows() - batch);
        bytes_.resize(rows * stride);
        const std::uint64_t tasks = (rows + rows_per_task - 1) / rows_per_task;
        pool_.run(tasks, [&](std::size_t task, std::size_t worker) {
            const std::uint64_t first = task * rows_per_task;
            encode_task(tensor, batch + first, std::min(rows_per_task, rows - first),
                        floats_[worker], bytes_.data() + first * stride);
        });
        if (const std::uint64_t row = bad_row_; row != kNoRow) {
            return fail(Code::data_loss,
                        "tensor {} has a NaN or infinite value in row {}; the "
                        "source is damaged: fetch it again",
                        tensor.name, row);
        }
        DG_TRY(writer.write_tensor_data(bytes_));
    }
    return {};
}

}  // namespace

Result<void> write_planned(GgufWriter& writer, std::span<const PlannedTensor> tensors,
                           const ModelFileProgressFn& progress, std::uint32_t threads) {
    for (const PlannedTensor& tensor : tensors) {
        writer.add_tensor(tensor.name, tensor.type, tensor.dims);
    }
    DG_TRY(writer.begin());
    Encoder encoder(threads);
    ModelFileProgress at;
    at.tensors_total = tensors.size();
    at.bytes_total = writer.tensor_bytes_total();
    for (const PlannedTensor& tensor : tensors) {
        at.tensor = tensor.name;
        if (progress && !progress(at)) {
            return fail(Code::cancelled, "stopped at tensor {}; nothing was written", tensor.name);
        }
        DG_TRY(encoder.write(writer, tensor));
        ++at.tensors_done;
        at.bytes_done += tensor.rows() * row_bytes(tensor.type, tensor.dims[0]);
    }
    DG_TRY(writer.commit());
    at.tensor = {};
    if (progress) static_cast<void>(progress(at));
    return {};
}

}  // namespace engine
