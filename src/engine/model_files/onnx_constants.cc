#include "engine/model_files/onnx_constants.h"

#include <algorithm>
#include <cmath>

namespace engine {

using base::Code;
using base::fail;
using base::Result;

namespace {

constexpr int kDepthMax = 16;  // of operators folded; more is no weight, or a loop

using Found = std::optional<OnnxConstant>;

Result<OnnxConstant> from_tensor(const OnnxTensor& tensor) {
    return OnnxConstant{tensor.dims, DG_TRY(tensor.floats())};
}

bool passes_on(const OnnxNode& node) {
    return node.op == "Identity" || node.op == "Cast";
}

/// `small` has one value, one for each column, or one for each row as [rows, 1].
Result<OnnxConstant> scaled(OnnxConstant big, const OnnxConstant& small) {
    const std::uint64_t columns = big.columns();
    const bool by_row = small.dims.size() == 2 && small.dims[1] == 1 && columns != 1;
    const bool fits = small.values.size() == 1 || (by_row && small.values.size() == big.rows()) ||
                      (!by_row && small.values.size() == columns);
    if (!fits || columns == 0) {
        return fail(Code::data_loss, "a scale of {} values does not fit {} columns",
                    small.values.size(), columns);
    }
    for (std::size_t i = 0; i < big.values.size(); ++i) {
        const std::size_t at = small.values.size() == 1 ? 0 : by_row ? i / columns : i % columns;
        big.values[i] *= small.values[at];
    }
    return big;
}

Result<Found> fold(const OnnxGraph& graph, std::string_view value, int depth);

Result<Found> fold_node(const OnnxGraph& graph, const OnnxNode& node, int depth) {
    if (node.op == "Constant") {
        if (const OnnxAttribute* number = node.attribute("value_float")) {
            return Found(OnnxConstant{{}, {number->f32}});
        }
        const OnnxAttribute* held = node.attribute("value");
        if (held == nullptr || held->tensor == nullptr) return Found();
        return Found(DG_TRY(from_tensor(*held->tensor)));
    }
    if (passes_on(node)) return fold(graph, node.input(0), depth + 1);
    if (node.op == "Transpose") {
        Found inner = DG_TRY(fold(graph, node.input(0), depth + 1));
        if (inner && inner->dims.size() == 2) return Found(turned(*inner));
        return Found();
    }
    if (node.op == "DequantizeLinear" && is_constant(graph, node.input(0))) {
        const OnnxAttribute* axis = node.attribute("axis");
        return Found(DG_TRY(dequantized(graph, node.input(0), node.input(1), node.input(2),
                                        axis == nullptr || axis->integer != 0 ? 1 : 0)));
    }
    if (node.op == "Mul") {
        Found a = DG_TRY(fold(graph, node.input(0), depth + 1));
        Found b = a ? DG_TRY(fold(graph, node.input(1), depth + 1)) : Found();
        if (!a || !b) return Found();
        if (a->values.size() < b->values.size()) std::swap(a, b);
        return Found(DG_TRY(scaled(std::move(*a), *b)));
    }
    return Found();
}

Result<Found> fold(const OnnxGraph& graph, std::string_view value, int depth) {
    if (value.empty() || depth > kDepthMax) return Found();
    if (const OnnxTensor* tensor = graph.initializer(value)) {
        return Found(DG_TRY(from_tensor(*tensor)));
    }
    const OnnxNode* node = graph.maker(value);
    return node == nullptr ? Found() : fold_node(graph, *node, depth);
}

bool is_constant_within(const OnnxGraph& graph, std::string_view value, int depth) {
    if (value.empty() || depth > kDepthMax) return false;
    if (graph.initializer(value) != nullptr) return true;
    const OnnxNode* node = graph.maker(value);
    if (node == nullptr) return false;
    if (node->op == "Constant") return true;
    const auto made_of = [&](std::size_t input) {
        return is_constant_within(graph, node->input(input), depth + 1);
    };
    if (passes_on(*node) || node->op == "Transpose" || node->op == "DequantizeLinear") {
        return made_of(0);
    }
    return node->op == "Mul" && made_of(0) && made_of(1);
}

void add_elements(const OnnxGraph& graph, std::string_view value, int depth,
                  std::vector<std::optional<std::int64_t>>& out) {
    const OnnxNode* node = graph.maker(value);
    const OnnxTensor* tensor = graph.initializer(value);
    if (node != nullptr && node->op == "Constant") {
        const OnnxAttribute* held = node->attribute("value");
        tensor = held == nullptr ? nullptr : held->tensor;
    }
    if (tensor != nullptr) {
        const auto values = tensor->floats();
        if (!values || values->size() > 8) return out.push_back(std::nullopt);
        for (const float x : *values) out.push_back(static_cast<std::int64_t>(x));
        return;
    }
    const bool inner = node != nullptr && depth < kDepthMax;
    if (inner && node->op == "Concat") {
        for (const std::string& part : node->inputs) add_elements(graph, part, depth + 1, out);
    } else if (inner && (passes_on(*node) || node->op == "Unsqueeze" || node->op == "Reshape")) {
        add_elements(graph, node->input(0), depth + 1, out);
    } else {
        out.push_back(std::nullopt);
    }
}

}  // namespace

bool is_constant(const OnnxGraph& graph, std::string_view value) {
    return is_constant_within(graph, value, 0);
}

Result<Found> constant_of(const OnnxGraph& graph, std::string_view value) {
    return fold(graph, value, 0);
}

Result<OnnxConstant> dequantized(const OnnxGraph& graph, std::string_view quantized,
                                 std::string_view scale, std::string_view zero_point,
                                 std::size_t axis) {
    Found x = DG_TRY(constant_of(graph, quantized));
    const Found s = DG_TRY(constant_of(graph, scale));
    Found zero = DG_TRY(constant_of(graph, zero_point));
    if (!x || !s) {
        return fail(Code::unimplemented, "the scale of {} is no constant of the file", quantized);
    }
    if (!zero) zero = OnnxConstant{{}, {0.f}};
    const std::uint64_t columns = std::max<std::uint64_t>(1, x->columns());
    const std::uint64_t along = axis == 0 && x->dims.size() == 2 ? x->rows() : columns;
    for (const OnnxConstant* one : std::initializer_list<const OnnxConstant*>{&*s, &*zero}) {
        if (one->values.size() == 1 || one->values.size() == along) continue;
        return fail(Code::data_loss, "{} has {} scales or zero points, expected 1 or {}", quantized,
                    one->values.size(), along);
    }
    const auto pick = [&](const OnnxConstant& from, std::size_t i) {
        if (from.values.size() == 1) return from.values[0];
        return from.values[axis == 0 && x->dims.size() == 2 ? i / columns : i % columns];
    };
    for (std::size_t i = 0; i < x->values.size(); ++i) {
        x->values[i] = (x->values[i] - pick(*zero, i)) * pick(*s, i);
    }
    return std::move(*x);
}

OnnxConstant turned(const OnnxConstant& matrix) {
    OnnxConstant out;
    const std::uint64_t rows = matrix.dims[0], columns = matrix.dims[1];
    out.dims = {columns, rows};
    out.values.resize(matrix.values.size());
    for (std::uint64_t r = 0; r < rows; ++r) {
        for (std::uint64_t c = 0; c < columns; ++c) {
            out.values[c * rows + r] = matrix.values[r * columns + c];
        }
    }
    return out;
}

std::vector<std::optional<std::int64_t>> shape_elements(const OnnxGraph& graph,
                                                        std::string_view value) {
    std::vector<std::optional<std::int64_t>> out;
    add_elements(graph, value, 0, out);
    return out;
}

}  // namespace engine
