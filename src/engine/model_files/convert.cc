#include "engine/model_files/convert.h"

#include <algorithm>
#include <filesystem>

#include "base/files/files.h"
#include "engine/model_files/planned_tensor.h"
#include "engine/model_files/source_model.h"

namespace engine {

using base::Code;
using base::fail_on;
using base::Result;

namespace {

constexpr std::uint32_t kQuantizationVersion = 2;

bool has_file(const std::string& folder, std::string_view name) {
    return base::path_exists(fmt::format("{}/{}", folder, name));
}

Result<SourceModel> load_source(const std::string& folder, GgufWriter& writer) {
    if (has_file(folder, "config.json")) return load_hf_model(folder, writer);
    if (has_file(folder, "vocab.json")) return load_use_lite_model(folder, writer);
    return fail_on(folder, Code::not_found,
                   "{} holds no config.json; name a folder with config.json, *.safetensors and "
                   "tokenizer.json or tokenizer.model",
                   folder);
}

}  // namespace

Result<ModelFileReport> convert_model(const std::string& source, const std::string& output,
                                      FileType type, const ModelFileProgressFn& progress,
                                      std::uint32_t threads) {
    std::error_code cannot_tell;
    if (!std::filesystem::is_directory(source, cannot_tell)) {
        return fail_on(source, Code::not_found, "{} is not a folder with a model", source);
    }
    GgufWriter writer = DG_TRY(GgufWriter::create(output));
    const SourceModel model = DG_TRY(load_source(source, writer));
    writer.set_u32("general.file_type", file_type_number(type));
    writer.set_u32("general.quantization_version", kQuantizationVersion);
    TensorPlace place;
    place.layers = model.layers;
    place.tied_output = std::ranges::find(model.tensors, "output.weight", &SourceTensor::name) ==
                        model.tensors.end();
    ModelFileReport report;
    report.architecture = model.architecture;
    report.tensors = model.tensors.size();
    report.bytes_in = model.weights->bytes();
    std::vector<PlannedTensor> planned;
    for (const SourceTensor& tensor : model.tensors) {
        TensorView shape;
        shape.name = tensor.name;
        shape.dims = tensor.dims;
        const TypeChoice choice = type_for_tensor(type, shape, place);
        if (choice.fallback) report.fallbacks.push_back({tensor.name, choice.type});
        planned.push_back({tensor.name, choice.type, tensor.dims, tensor.read_rows, {}});
    }
    DG_TRY(write_planned(writer, planned, progress, threads));
    report.bytes_out = writer.bytes_written();
    return report;
}

}  // namespace engine
