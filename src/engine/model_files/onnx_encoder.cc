#include "engine/model_files/onnx_encoder.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <map>
#include <optional>

#include "engine/model_files/onnx_constants.h"
#include "engine/model_files/onnx_graph.h"

namespace engine {

using base::Code;
using base::fail_on;
using base::Result;

namespace {

constexpr std::string_view kWords = "embeddings.word_embeddings.weight";
// What exporters and quantisers put behind a tensor's own name.
constexpr std::string_view kSuffixes[] = {"_DequantizeLinear_Output", "_dequantized", "_quantized",
                                          "_q"};
constexpr std::array<std::string_view, 8> kLayerParts = {
    "attention.self.query",       "attention.self.key", "attention.self.value",
    "attention.output.dense",     "intermediate.dense", "output.dense",
    "attention.output.LayerNorm", "output.LayerNorm"};

class Reader {
public:
    explicit Reader(const OnnxGraph& graph) : graph_(graph) {}

    Result<OnnxEncoder> run();

private:
    Result<void> read_node(const OnnxNode& node);
    Result<void> read_table(const OnnxNode& gather);
    Result<void> read_norm(const OnnxNode& node);
    Result<void> read_sum(const OnnxNode& add);
    Result<void> read_gemm(const OnnxNode& gemm);
    Result<void> read_vector(std::string_view value);
    Result<void> read_root(const OnnxNode& root);
    Result<void> check_node(const OnnxNode& node) const;
    void read_reshape(const OnnxNode& reshape);

    Result<std::optional<OnnxConstant>> factor_of(std::string_view product) const;
    std::string own_name(std::string_view value, std::string_view ending) const;
    void keep(std::string name, OnnxConstant tensor) {
        tensors_.insert_or_assign(std::move(name), std::move(tensor));
    }
    Result<void> drop_prefix();
    Result<std::uint64_t> size_of(const std::string& name, std::size_t axis) const;
    Result<base::json::object> config() const;
    Result<std::uint64_t> heads(std::uint64_t dim) const;

    std::unexpected<base::Error> missing(const std::string& name) const {
        return fail_on(graph_.path(), Code::unimplemented,
                       "{}: found no {}; graphs that were optimised or are no BERT are not read, "
                       "so export the model as it is, or use its safetensors",
                       graph_.path(), name);
    }

    const OnnxGraph& graph_;
    std::map<std::string, OnnxConstant> tensors_;
    std::vector<std::array<std::int64_t, 2>> splits_;  ///< heads (-1: unknown) and their size
    std::optional<float> eps_;
    bool gelu_ = false;
};

/// The name that ends in `ending`, of the value itself or of what it is made of; empty: none.
std::string Reader::own_name(std::string_view value, std::string_view ending) const {
    for (int depth = 0; depth < 8 && !value.empty(); ++depth) {
        std::string_view name = value;
        for (const std::string_view suffix : kSuffixes) {
            if (name.ends_with(suffix)) name.remove_suffix(suffix.size());
        }
        if (name.ends_with(ending)) return std::string(name);
        const OnnxNode* node = graph_.maker(value);
        if (node == nullptr) break;
        value = node->input(0);
    }
    return {};
}

/// The matrix [out, in] that makes `product`, in floats or by 8-bit integers.
Result<std::optional<OnnxConstant>> Reader::factor_of(std::string_view product) const {
    using Found = std::optional<OnnxConstant>;
    const OnnxNode* node = graph_.maker(product);
    if (node == nullptr) return Found();
    if (node->op == "MatMul") {
        Found factor = DG_TRY(constant_of(graph_, node->input(1)));
        if (!factor || factor->dims.size() != 2) return Found();
        return Found(turned(*factor));
    }
    if (node->op != "Mul") return Found();
    for (std::size_t side = 0; side < 2; ++side) {
        const OnnxNode* cast = graph_.maker(node->input(side));
        const OnnxNode* scales = graph_.maker(node->input(1 - side));
        if (cast == nullptr || cast->op != "Cast" || scales == nullptr) continue;
        const OnnxNode* integers = graph_.maker(cast->input(0));
        if (integers == nullptr || integers->op != "MatMulInteger" || scales->op != "Mul") continue;
        const std::size_t fixed = is_constant(graph_, scales->input(1)) ? 1 : 0;
        OnnxConstant factor = DG_TRY(
            dequantized(graph_, integers->input(1), scales->input(fixed), integers->input(3), 1));
        if (factor.dims.size() != 2) return Found();
        return Found(turned(factor));
    }
    return Found();
}

Result<void> Reader::read_table(const OnnxNode& gather) {
    const std::string name = own_name(gather.input(0), ".weight");
    if (name.empty() || !is_constant(graph_, gather.input(0))) return {};
    const OnnxTensor* stored = graph_.initializer(gather.input(0));
    const OnnxNode* after = graph_.reader(gather.outputs.empty() ? "" : gather.outputs[0]);
    if (stored != nullptr && stored->is_bytes()) {
        if (after == nullptr || after->op != "DequantizeLinear") return missing("scale of " + name);
        keep(name,
             DG_TRY(dequantized(graph_, gather.input(0), after->input(1), after->input(2), 1)));
        return {};
    }
    auto table = DG_TRY(constant_of(graph_, gather.input(0)));
    if (table) keep(name, std::move(*table));
    return {};
}

/// A bias or a norm's weight, where the value has such a name.
Result<void> Reader::read_vector(std::string_view value) {
    std::string name = own_name(value, ".bias");
    if (name.empty()) name = own_name(value, "Norm.weight");
    if (name.empty() || !is_constant(graph_, value)) return {};
    auto vector = DG_TRY(constant_of(graph_, value));
    if (vector && vector->dims.size() == 1) keep(std::move(name), std::move(*vector));
    return {};
}

Result<void> Reader::read_norm(const OnnxNode& node) {
    DG_TRY(read_vector(node.input(1)));
    if (const OnnxAttribute* eps = node.attribute("epsilon")) eps_ = eps->f32;
    return read_vector(node.input(2));
}

/// bias + product: the bias tells what the product's matrix is.
Result<void> Reader::read_sum(const OnnxNode& add) {
    for (std::size_t side = 0; side < 2; ++side) {
        const std::string_view bias = add.input(side);
        const std::string name = own_name(bias, ".bias");
        if (name.empty() || !is_constant(graph_, bias)) continue;
        DG_TRY(read_vector(bias));
        auto factor = DG_TRY(factor_of(add.input(1 - side)));
        const std::string stem = name.substr(0, name.size() - std::string_view(".bias").size());
        if (factor) keep(stem + ".weight", std::move(*factor));
    }
    return {};
}

Result<void> Reader::read_gemm(const OnnxNode& gemm) {
    const std::string name = own_name(gemm.input(2), ".bias");
    if (name.empty() || !is_constant(graph_, gemm.input(1))) return {};
    for (const std::string_view factor : {"alpha", "beta"}) {
        const OnnxAttribute* value = gemm.attribute(factor);
        if (value == nullptr || value->f32 == 1.f) continue;
        return fail_on(graph_.path(), Code::unimplemented, "{}: node {} has {} {}, expected 1",
                       graph_.path(), gemm.name, factor, value->f32);
    }
    auto matrix = DG_TRY(constant_of(graph_, gemm.input(1)));
    if (!matrix || matrix->dims.size() != 2) return {};
    const OnnxAttribute* turn = gemm.attribute("transB");
    const bool as_is = turn != nullptr && turn->integer != 0;
    const std::string stem = name.substr(0, name.size() - std::string_view(".bias").size());
    keep(stem + ".weight", as_is ? std::move(*matrix) : turned(*matrix));
    return read_vector(gemm.input(2));
}

/// Norms written out: sqrt(variance + eps).
Result<void> Reader::read_root(const OnnxNode& root) {
    const OnnxNode* sum = graph_.maker(root.input(0));
    if (sum == nullptr || sum->op != "Add") return {};
    for (std::size_t side = 0; side < 2; ++side) {
        if (!is_constant(graph_, sum->input(side))) continue;
        const auto eps = DG_TRY(constant_of(graph_, sum->input(side)));
        if (eps && eps->values.size() == 1) eps_ = eps->values[0];
    }
    return {};
}

/// [texts, tokens, heads, head size] tells how a row is split.
void Reader::read_reshape(const OnnxNode& reshape) {
    const auto shape = shape_elements(graph_, reshape.input(1));
    if (shape.size() != 4 || !shape[3] || *shape[3] <= 0) return;
    if (shape[2] && (*shape[2] == 0 || *shape[2] < -1)) return;
    splits_.push_back({shape[2].value_or(-1), *shape[3]});
}

Result<void> Reader::check_node(const OnnxNode& node) const {
    if (!node.domain.empty() && node.domain != "ai.onnx") {
        return fail_on(graph_.path(), Code::unimplemented,
                       "{}: operator {} of {} was put there by an optimiser; export the model "
                       "without optimisation",
                       graph_.path(), node.op, node.domain);
    }
    const OnnxNode* before = graph_.maker(node.input(0));
    const OnnxAttribute* approximate = node.attribute("approximate");
    const bool tanh_gelu = (node.op == "Tanh" && before != nullptr && before->op == "Mul") ||
                           (approximate != nullptr && approximate->text == "tanh");
    if (!tanh_gelu) return {};
    return fail_on(graph_.path(), Code::unimplemented,
                   "{}: its activation is GELU by tanh; encoders with the exact one are run here",
                   graph_.path());
}

Result<void> Reader::read_node(const OnnxNode& node) {
    DG_TRY(check_node(node));
    if (node.op == "Erf" || node.op == "Gelu") gelu_ = true;
    if (node.op == "Gather") return read_table(node);
    if (node.op == "LayerNormalization") return read_norm(node);
    if (node.op == "Add") return read_sum(node);
    if (node.op == "Gemm") return read_gemm(node);
    if (node.op == "Sqrt") return read_root(node);
    if (node.op == "Reshape") read_reshape(node);
    if (node.op == "Mul") {
        DG_TRY(read_vector(node.input(0)));
        return read_vector(node.input(1));
    }
    return {};
}

/// What stands before "embeddings." in the names of all tensors of the encoder.
Result<void> Reader::drop_prefix() {
    const auto words = std::ranges::find_if(
        tensors_, [](const auto& tensor) { return tensor.first.ends_with(kWords); });
    if (words == tensors_.end()) return missing(std::string(kWords));
    const std::string prefix = words->first.substr(0, words->first.size() - kWords.size());
    if (prefix.empty()) return {};
    std::map<std::string, OnnxConstant> renamed;
    for (auto& [name, tensor] : tensors_) {
        renamed.emplace(name.starts_with(prefix) ? name.substr(prefix.size()) : name,
                        std::move(tensor));
    }
    tensors_ = std::move(renamed);
    return {};
}

Result<std::uint64_t> Reader::size_of(const std::string& name, std::size_t axis) const {
    const auto found = tensors_.find(name);
    if (found == tensors_.end() || found->second.dims.size() <= axis) return missing(name);
    return found->second.dims[axis];
}

Result<std::uint64_t> Reader::heads(std::uint64_t dim) const {
    std::optional<std::uint64_t> heads;
    for (const auto& [count, size] : splits_) {
        const auto width = static_cast<std::uint64_t>(size);
        if (dim % width != 0 || (count > 0 && static_cast<std::uint64_t>(count) * width != dim)) {
            continue;
        }
        if (heads && *heads != dim / width) return missing("single number of attention heads");
        heads = dim / width;
    }
    if (!heads) return missing("number of attention heads (a Reshape to heads and their size)");
    return *heads;
}

Result<base::json::object> Reader::config() const {
    std::uint64_t layers = 0;
    while (tensors_.contains(fmt::format("encoder.layer.{}.attention.self.query.bias", layers))) {
        ++layers;
    }
    if (layers == 0) return missing("encoder.layer.0.attention.self.query.bias");
    for (std::uint64_t layer = 0; layer < layers; ++layer) {
        for (const std::string_view part : kLayerParts) {
            for (const std::string_view kind : {"weight", "bias"}) {
                DG_TRY(size_of(fmt::format("encoder.layer.{}.{}.{}", layer, part, kind), 0));
            }
        }
    }
    if (!gelu_) return missing("GELU");
    const std::uint64_t dim = DG_TRY(size_of(std::string(kWords), 1));
    const std::pair<std::string_view, std::uint64_t> counts[] = {
        {"hidden_size", dim},
        {"num_hidden_layers", layers},
        {"num_attention_heads", DG_TRY(heads(dim))},
        {"intermediate_size", DG_TRY(size_of("encoder.layer.0.intermediate.dense.weight", 0))},
        {"max_position_embeddings", DG_TRY(size_of("embeddings.position_embeddings.weight", 0))},
        {"type_vocab_size", DG_TRY(size_of("embeddings.token_type_embeddings.weight", 0))}};
    base::json::object config{{"model_type", "bert"}};
    for (const auto& [key, count] : counts) config[key] = static_cast<std::int64_t>(count);
    config["layer_norm_eps"] = static_cast<double>(eps_.value_or(1e-5f));  // ONNX's own default
    return config;
}

Result<OnnxEncoder> Reader::run() {
    for (const OnnxNode& node : graph_.nodes()) DG_TRY(read_node(node));
    DG_TRY(drop_prefix());
    OnnxEncoder encoder;
    encoder.config = DG_TRY(config());
    std::vector<NamedValues> values;
    for (auto& [name, tensor] : tensors_) {
        values.push_back({name, std::move(tensor.dims), std::move(tensor.values)});
    }
    encoder.weights = std::make_shared<const Safetensors>(
        DG_TRY(Safetensors::of_values(graph_.path(), std::move(values), graph_.bytes())));
    return encoder;
}

}  // namespace

Result<OnnxEncoder> read_onnx_encoder(const std::string& path) {
    const OnnxGraph graph = DG_TRY(OnnxGraph::open(path));
    auto encoder = Reader(graph).run();
    if (!encoder && encoder.error().message.find(path) == std::string::npos) {
        return std::unexpected(std::move(encoder).error().with_context(path));
    }
    return encoder;
}

}  // namespace engine
