#include "engine/model_files/quantize.h"

#include <filesystem>

#include "engine/model_files/gguf.h"
#include "engine/model_files/planned_tensor.h"
#include "engine/tensor/quantize.h"

namespace engine {

using base::Code;
using base::fail_on;
using base::Result;

namespace {

constexpr std::uint32_t kQuantizationVersion = 2;  // of the block formats, as llama.cpp counts

Result<void> check_paths(const GgufFile& input, const std::string& output) {
    for (const ModelFile& file : input.files()) {
        std::error_code absent;  // an output that does not exist yet is no error
        if (std::filesystem::equivalent(file.path, output, absent)) {
            return fail_on(output, Code::invalid_argument,
                           "{} is a file of the input itself; choose another output", output);
        }
    }
    return {};
}

void copy_metadata(const GgufFile& file, FileType type, GgufWriter& writer) {
    for (const GgufEntry& entry : file.metadata()) {
        if (!entry.key.starts_with("split.")) writer.set_entry(entry);  // the copy is one file
    }
    writer.set_u32("general.file_type", file_type_number(type));
    writer.set_u32("general.quantization_version", kQuantizationVersion);
}

PlannedTensor plan(const TensorView& tensor, TensorType type) {
    PlannedTensor planned;
    planned.name = tensor.name;
    planned.type = type;
    planned.dims = tensor.dims;
    if (type == tensor.type) {
        planned.stored = {tensor.data, tensor.bytes()};
        return planned;
    }
    planned.read_rows = [&tensor](std::uint64_t first, std::uint64_t rows, float* out) {
        const std::size_t stride = row_bytes(tensor.type, tensor.dims[0]);
        dequantize_row(tensor.type, tensor.data + first * stride, rows * tensor.dims[0], out);
    };
    return planned;
}

}  // namespace

Result<ModelFileReport> quantize_model(const std::string& input, const std::string& output,
                                       FileType type, const ModelFileProgressFn& progress,
                                       std::uint32_t threads) {
    const GgufFile file = DG_TRY(GgufFile::open(input));
    DG_TRY(check_paths(file, output));
    ModelFileReport report;
    report.architecture = DG_TRY(file.architecture());
    report.tensors = file.tensors().size();
    report.bytes_in = file.file_bytes();
    TensorPlace place;
    place.layers = DG_TRY(file.get_u32_or(report.architecture + ".block_count", 0));
    place.tied_output = file.find_tensor("output.weight") == nullptr;
    GgufWriter writer = DG_TRY(GgufWriter::create(output));
    copy_metadata(file, type, writer);
    std::vector<PlannedTensor> planned;
    for (const TensorView& tensor : file.tensors()) {
        const TypeChoice choice = type_for_tensor(type, tensor, place);
        planned.push_back(plan(tensor, choice.type));
        if (choice.fallback) report.fallbacks.push_back({tensor.name, choice.type});
    }
    DG_TRY(write_planned(writer, planned, progress, threads));
    report.bytes_out = writer.bytes_written();
    return report;
}

}  // namespace engine
