#include "engine/model_files/source_model.h"

#include <algorithm>
#include <filesystem>

#include "base/files/files.h"

namespace engine {

using base::Code;
using base::fail;
using base::fail_on;
using base::Result;

namespace {

/// In the folder or its subfolder onnx, as exporters leave it; empty: none.
Result<std::string> only_onnx_file(const std::string& folder) {
    for (const char* usual : {"model.onnx", "onnx/model.onnx"}) {
        std::string path = fmt::format("{}/{}", folder, usual);
        if (base::path_exists(path)) return path;
    }
    std::vector<std::string> found;
    std::error_code error;
    for (const auto& entry : std::filesystem::directory_iterator(folder, error)) {
        if (entry.path().extension() == ".onnx") found.push_back(entry.path().string());
    }
    if (found.empty()) return std::string();
    if (found.size() == 1) return found.front();
    return fail_on(folder, Code::not_found, "{} holds {} *.onnx files; name the one to convert",
                   folder, found.size());
}

bool holds_safetensors(const std::string& folder) {
    std::error_code error;
    for (const auto& entry : std::filesystem::directory_iterator(folder, error)) {
        const std::string name = entry.path().filename().string();
        if (name.ends_with(".safetensors") || name.ends_with(".safetensors.index.json")) {
            return true;
        }
    }
    return false;
}

std::string last_part(const std::string& folder) {
    const std::filesystem::path path = std::filesystem::path(folder).lexically_normal();
    return (path.has_filename() ? path : path.parent_path()).filename().string();
}

}  // namespace

Result<SourcePlace> find_source(const std::string& path) {
    std::error_code cannot_tell;
    SourcePlace place;
    if (std::filesystem::is_directory(path, cannot_tell)) {
        place.folder = path;
        if (!holds_safetensors(path)) place.onnx = DG_TRY(only_onnx_file(path));
        return place;
    }
    if (!base::path_exists(path)) {
        return fail_on(path, Code::not_found, "{} is not there", path);
    }
    if (!path.ends_with(".onnx")) {
        return fail_on(path, Code::invalid_argument,
                       "{} is no folder with a model and no *.onnx file", path);
    }
    place.onnx = path;
    place.folder = std::filesystem::path(path).parent_path().string();
    if (place.folder.empty()) place.folder.assign(1, '.');
    return place;
}

std::string SourcePlace::tokenizer_json() const {
    if (!onnx.empty()) {
        const std::string stem = std::filesystem::path(onnx).stem().string();
        std::string own = fmt::format("{}/{}-tokenizer.json", folder, stem);
        if (base::path_exists(own)) return own;
    }
    std::string usual = fmt::format("{}/tokenizer.json", folder);
    return base::path_exists(usual) ? usual : std::string();
}

std::string SourcePlace::name() const {
    const std::string stem = std::filesystem::path(onnx).stem().string();
    return stem.empty() || stem.starts_with("model") ? last_part(folder) : stem;
}

Result<std::array<std::uint64_t, 4>> gguf_dims(const SafeTensor& tensor) {
    std::array<std::uint64_t, 4> dims{1, 1, 1, 1};
    if (tensor.shape.size() > dims.size()) {
        return fail(Code::unimplemented, "tensor {} has {} dimensions; at most 4 can be stored",
                    tensor.name, tensor.shape.size());
    }
    std::ranges::reverse_copy(tensor.shape, dims.begin());
    if (tensor.elements() == 0) return fail(Code::data_loss, "tensor {} is empty", tensor.name);
    return dims;
}

Result<SourceTensor> plain_tensor(const SafeTensor& tensor, std::string name) {
    if (tensor.type == SafeType::other) {
        return fail(Code::unimplemented,
                    "tensor {} has dtype {}; F32, F16 and BF16 weights can be converted",
                    tensor.name, tensor.type_name);
    }
    SourceTensor out;
    out.name = std::move(name);
    out.dims = DG_TRY(gguf_dims(tensor));
    const std::uint64_t columns = out.dims[0];
    out.read_rows = [&tensor, columns](std::uint64_t first, std::uint64_t rows, float* values) {
        read_values(tensor, first * columns, rows * columns, values);
    };
    return out;
}

}  // namespace engine
