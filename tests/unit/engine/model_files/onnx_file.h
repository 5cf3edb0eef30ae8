#pragma once
// Writes small ONNX files as exporters do, from weights that a test chooses.

#include <cmath>
#include <cstdint>
#include <cstring>
#include <map>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "unit/engine/model_files/hf_folder.h"

namespace test {

inline std::string varint(std::uint64_t value) {
    std::string out;
    for (; value >= 0x80; value >>= 7) out += static_cast<char>((value & 0x7f) | 0x80);
    return out + static_cast<char>(value);
}
inline std::string number_field(std::uint32_t number, std::uint64_t value) {
    return varint(number << 3) + varint(value);
}
inline std::string bytes_field(std::uint32_t number, std::string_view bytes) {
    return varint(number << 3 | 2) + varint(bytes.size()) + std::string(bytes);
}

constexpr std::uint32_t kOnnxF32 = 1, kOnnxU8 = 2, kOnnxI8 = 3, kOnnxI64 = 7;

template <class T>
std::string onnx_tensor(std::string_view name, const std::vector<std::uint64_t>& dims,
                        std::uint32_t type, const std::vector<T>& values) {
    std::string out;
    for (const std::uint64_t dim : dims) out += number_field(1, dim);
    out += number_field(2, type) + bytes_field(8, name);
    return out + bytes_field(
                     9, {reinterpret_cast<const char*>(values.data()), values.size() * sizeof(T)});
}

/// A graph as it grows; what nodes make is named after them.
class OnnxWriter {
public:
    void initializer(const std::string& tensor) { graph_ += bytes_field(5, tensor); }
    void floats(std::string_view name, const SafeEntry& entry) {
        initializer(onnx_tensor(name, entry.shape, kOnnxF32, entry.values));
    }
    /// Returns the output's name.
    std::string node(std::string_view op, std::string_view name,
                     const std::vector<std::string>& inputs, const std::string& attributes = {},
                     std::string_view domain = {}) {
        std::string body;
        for (const std::string& input : inputs) body += bytes_field(1, input);
        const std::string output = std::string(name) + "_output_0";
        body += bytes_field(2, output) + bytes_field(3, name) + bytes_field(4, op) + attributes;
        if (!domain.empty()) body += bytes_field(7, domain);
        graph_ += bytes_field(1, body);
        return output;
    }
    std::string constant(std::string_view name, float value) {
        return node("Constant", name, {},
                    tensor_attribute(onnx_tensor<float>("", {}, kOnnxF32, {value})));
    }
    std::string constant(std::string_view name, std::int64_t value) {
        return node("Constant", name, {},
                    tensor_attribute(onnx_tensor<std::int64_t>("", {1}, kOnnxI64, {value})));
    }
    std::string file() const { return number_field(1, 8) + bytes_field(7, graph_); }

private:
    static std::string tensor_attribute(const std::string& tensor) {
        return bytes_field(5, bytes_field(1, "value") + bytes_field(5, tensor));
    }
    std::string graph_;
};

/// Weights of a BERT of two layers: dim 8, 2 heads of 4, ffn 12, 6 tokens, 16 places.
inline std::map<std::string, SafeEntry> tiny_bert() {
    std::map<std::string, SafeEntry> out = {
        {"embeddings.word_embeddings.weight", counted({6, 8}, 0)},
        {"embeddings.position_embeddings.weight", counted({16, 8}, 100)},
        {"embeddings.token_type_embeddings.weight", counted({2, 8}, 300)},
        {"embeddings.LayerNorm.weight", counted({8}, 400)},
        {"embeddings.LayerNorm.bias", counted({8}, 410)}};
    for (int layer = 0; layer < 2; ++layer) {
        const std::string name = "encoder.layer." + std::to_string(layer) + ".";
        float first = 1000.f * static_cast<float>(layer + 1);
        const auto linear = [&](const std::string& part, std::uint64_t rows,
                                std::uint64_t columns) {
            out[name + part + ".weight"] = counted({rows, columns}, first);
            out[name + part + ".bias"] = counted({rows}, -first);
            first += 100.f;
        };
        for (const char* part : {"attention.self.query", "attention.self.key",
                                 "attention.self.value", "attention.output.dense"}) {
            linear(part, 8, 8);
        }
        linear("intermediate.dense", 12, 8);
        linear("output.dense", 8, 12);
        for (const char* part : {"attention.output.LayerNorm", "output.LayerNorm"}) {
            out[name + part + ".weight"] = counted({8}, first);
            out[name + part + ".bias"] = counted({8}, first + 10.f);
            first += 100.f;
        }
    }
    return out;
}

struct OnnxForm {
    bool quantized = false;    ///< weights in 8 bits, products by MatMulInteger
    bool norms_whole = false;  ///< LayerNormalization, not its parts
    std::string prefix = {};   ///< before every name
    bool last_bias_named = true;
};

/// What exporting `weights` leaves: biases and tables keep their names, matrices lose them.
class OnnxExport {
public:
    OnnxExport(const std::map<std::string, SafeEntry>& weights, OnnxForm form)
        : weights_(weights), form_(std::move(form)) {}

    std::string run() {
        const std::string p = "embeddings.";
        const std::string words = gather(p + "word_embeddings.weight", "input_ids");
        const std::string types = gather(p + "token_type_embeddings.weight", "token_type_ids");
        const std::string places = gather(p + "position_embeddings.weight", "places");
        std::string x = out_.node("Add", "sum", {words, types});
        x = norm(p + "LayerNorm", out_.node("Add", "sum_1", {x, places}));
        for (int layer = 0; weights_.contains(layer_name(layer) + "output.dense.bias"); ++layer) {
            x = block(layer_name(layer), x);
        }
        if (weights_.contains("classifier.weight")) {
            const std::string pooled = out_.node("Tanh", "pooled", {linear("pooler.dense", x)});
            linear("classifier", pooled);
        }
        return out_.file();
    }

    /// The values of a matrix or table as they are after 8 bits.
    static SafeEntry rounded(const SafeEntry& entry, float scale, int zero) {
        SafeEntry out = entry;
        for (float& x : out.values) {
            x = (static_cast<float>(byte_of(x, scale, zero)) - static_cast<float>(zero)) * scale;
        }
        return out;
    }
    static constexpr float kScale = 16.f;  // of all quantized weights
    static constexpr int kZero = 3;

private:
    static std::string layer_name(int layer) {
        return "encoder.layer." + std::to_string(layer) + ".";
    }
    static std::uint8_t byte_of(float x, float scale, int zero) {
        const float q = std::round(x / scale) + static_cast<float>(zero);
        return static_cast<std::uint8_t>(std::fmin(255.f, std::fmax(0.f, q)));
    }
    static std::vector<std::uint8_t> bytes_of(const std::vector<float>& values) {
        std::vector<std::uint8_t> out;
        for (const float x : values) out.push_back(byte_of(x, kScale, kZero));
        return out;
    }
    void scales(const std::string& name, std::size_t count) {
        const std::vector<std::uint64_t> dims =
            count == 0 ? std::vector<std::uint64_t>{} : std::vector<std::uint64_t>{count};
        const std::size_t n = count == 0 ? 1 : count;
        out_.initializer(
            onnx_tensor(name + "_scale", dims, kOnnxF32, std::vector<float>(n, kScale)));
        out_.initializer(
            onnx_tensor(name + "_zero_point", dims, kOnnxU8, std::vector<std::uint8_t>(n, kZero)));
    }
    std::string gather(const std::string& weight, const std::string& ids) {
        const SafeEntry& entry = weights_.at(weight);
        const std::string name = form_.prefix + weight;
        if (!form_.quantized) {
            out_.floats(name, entry);
            return out_.node("Gather", "/" + weight, {name, ids});
        }
        out_.initializer(
            onnx_tensor(name + "_quantized", entry.shape, kOnnxU8, bytes_of(entry.values)));
        scales(name, 0);
        const std::string rows = out_.node("Gather", "/" + weight, {name + "_quantized", ids});
        return out_.node("DequantizeLinear", "/" + weight + "/f",
                         {rows, name + "_scale", name + "_zero_point"});
    }
    std::string norm(const std::string& part, const std::string& x) {
        const std::string weight = form_.prefix + part + ".weight";
        const std::string bias = form_.prefix + part + ".bias";
        out_.floats(weight, weights_.at(part + ".weight"));
        out_.floats(bias, weights_.at(part + ".bias"));
        if (form_.norms_whole) return out_.node("LayerNormalization", part, {x, weight, bias});
        const std::string mean = out_.node("ReduceMean", part + "/mean", {x});
        const std::string off = out_.node("Sub", part + "/off", {x, mean});
        const std::string eps = out_.constant(part + "/eps", 0.25f);
        const std::string root =
            out_.node("Sqrt", part + "/root", {out_.node("Add", part + "/var", {off, eps})});
        const std::string even = out_.node("Div", part + "/even", {off, root});
        const std::string scaled = out_.node("Mul", part + "/scaled", {even, weight});
        return out_.node("Add", part + "/out", {scaled, bias});
    }
    std::string linear(const std::string& part, const std::string& x) {
        const SafeEntry& weight = weights_.at(part + ".weight");
        const std::uint64_t rows = weight.shape[0], columns = weight.shape[1];
        SafeEntry turned{{columns, rows}, std::vector<float>(weight.values.size())};
        for (std::uint64_t r = 0; r < rows; ++r) {
            for (std::uint64_t c = 0; c < columns; ++c) {
                turned.values[c * rows + r] = weight.values[r * columns + c];
            }
        }
        const std::string name = "onnx::MatMul_" + std::to_string(matrices_++);
        const bool last = part == "encoder.layer.1.output.dense" && !form_.last_bias_named;
        const std::string bias = last ? "onnx::Add_9" : form_.prefix + part + ".bias";
        out_.floats(bias, weights_.at(part + ".bias"));
        std::string product;
        if (form_.quantized) {
            out_.initializer(
                onnx_tensor(name + "_quantized", turned.shape, kOnnxU8, bytes_of(turned.values)));
            scales(name, rows);
            const std::string scale =
                out_.node("Mul", part + "/scales", {x + "_scale", name + "_scale"});
            const std::string whole = out_.node(
                "MatMulInteger", part + "/integers",
                {x + "_quantized", name + "_quantized", x + "_zero_point", name + "_zero_point"});
            const std::string cast = out_.node("Cast", part + "/cast", {whole});
            product = out_.node("Mul", part + "/product", {cast, scale});
        } else {
            out_.floats(name, turned);
            product = out_.node("MatMul", part + "/product", {x, name});
        }
        return out_.node("Add", part + "/Add", {bias, product});
    }
    std::string block(const std::string& layer, const std::string& x) {
        const std::string query = linear(layer + "attention.self.query", x);
        const std::string shape =
            out_.node("Concat", layer + "shape",
                      {"texts", "tokens", out_.constant(layer + "heads", std::int64_t{2}),
                       out_.constant(layer + "size", std::int64_t{4})});
        const std::string split = out_.node("Reshape", layer + "split", {query, shape});
        const std::string key = linear(layer + "attention.self.key", x);
        const std::string value = linear(layer + "attention.self.value", x);
        const std::string seen = out_.node("MatMul", layer + "seen", {split, key});
        const std::string mixed = out_.node("MatMul", layer + "mixed", {seen, value});
        std::string y = linear(layer + "attention.output.dense", mixed);
        y = norm(layer + "attention.output.LayerNorm",
                 out_.node("Add", layer + "residual", {y, x}));
        const std::string up = linear(layer + "intermediate.dense", y);
        const std::string gelu =
            out_.node("Mul", layer + "gelu", {up, out_.node("Erf", layer + "erf", {up})});
        const std::string down = linear(layer + "output.dense", gelu);
        return norm(layer + "output.LayerNorm", out_.node("Add", layer + "residual_1", {down, y}));
    }

    const std::map<std::string, SafeEntry>& weights_;
    const OnnxForm form_;
    OnnxWriter out_;
    int matrices_ = 100;
};

}  // namespace test
