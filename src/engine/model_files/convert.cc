#include "engine/model_files/convert.h"

#include <algorithm>

#include "base/files/files.h"
#include "engine/model_files/planned_tensor.h"
#include "engine/model_files/prefixes.h"
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

Result<SourceModel> load_source(const SourcePlace& place, const ConvertOptions& options,
                                GgufWriter& writer) {
    const std::string& folder = place.folder;
    if (!place.onnx.empty() || has_file(folder, "config.json")) {
        return load_hf_model(place, options, writer);
    }
    if (has_file(folder, "vocab.json")) return load_use_lite_model(folder, writer);
    return fail_on(folder, Code::not_found,
                   "{} holds no config.json; name a folder with config.json, *.safetensors and "
                   "tokenizer.json or tokenizer.model, or an ONNX file",
                   folder);
}

void set_options(const ConvertOptions& options, GgufWriter& writer) {
    if (!options.name.empty()) writer.set_string("general.name", options.name);
    if (!options.license.empty()) writer.set_string("general.license", options.license);
    if (options.query_prefix) writer.set_string(kQueryPrefixKey, *options.query_prefix);
    if (options.document_prefix) writer.set_string(kDocumentPrefixKey, *options.document_prefix);
}

}  // namespace

Result<ModelFileReport> convert_model(const std::string& source, const std::string& output,
                                      FileType type, const ModelFileProgressFn& progress,
                                      std::uint32_t threads, const ConvertOptions& options) {
    const SourcePlace place_of_source = DG_TRY(find_source(source));
    GgufWriter writer = DG_TRY(GgufWriter::create(output));
    const SourceModel model = DG_TRY(load_source(place_of_source, options, writer));
    set_options(options, writer);
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
