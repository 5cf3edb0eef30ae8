#pragma once
// The syntax tree of a template. Internal to this folder. Nodes are built by the parser and never
// change; names and literals in them live as long as the tree.

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace base::tmpl {

/// Where something is in the source, counted from 1.
struct Position {
    std::uint32_t line = 1;
    std::uint32_t column = 1;
};

struct Expr;
struct Node;
using ExprPtr = std::unique_ptr<const Expr>;
using NodePtr = std::unique_ptr<const Node>;
using Body = std::vector<NodePtr>;

enum class ExprKind : std::uint8_t {
    none,
    boolean,      ///< integer != 0
    integer,      ///< integer
    number,       ///< number
    text,         ///< text
    name,         ///< text
    list,         ///< items
    tuple,        ///< items
    dict,         ///< items: key, value, key, value...
    attribute,    ///< items[0] . text
    subscript,    ///< items[0] [ items[1] ]
    slice,        ///< items: begin, end, step; a null one is left out
    call,         ///< items[0] ( arguments )
    filter,       ///< items[0] | text ( arguments ); items[0] is null in filter blocks
    test,         ///< items[0] is text ( arguments )
    negate,       ///< - items[0]
    plus,         ///< + items[0]
    logical_not,  ///< not items[0]
    logical_and,  ///< items, left to right
    logical_or,   ///< items, left to right
    concat,       ///< items joined by ~
    arithmetic,   ///< items joined by operators, left to right
    compare,      ///< items joined by operators, as in Python: a < b < c
    conditional,  ///< items[0] if items[1] else items[2] (may be null)
};

enum class Operator : std::uint8_t {
    add,
    subtract,
    multiply,
    divide,
    floor_divide,
    modulo,
    power,
    equal,
    not_equal,
    less,
    less_equal,
    greater,
    greater_equal,
    in,
    not_in,
};

struct Argument {
    enum class Kind : std::uint8_t { positional, named, spread, spread_named } kind;
    std::string name;
    ExprPtr value;
};

/// Chains of one precedence level are one node with many items, so that a long sum is not a deep
/// tree.
struct Expr {
    ExprKind kind = ExprKind::none;
    Position at;
    std::string text;
    std::int64_t integer = 0;
    double number = 0;
    std::vector<ExprPtr> items;
    std::vector<Operator> operators;
    std::vector<Argument> arguments;
};

enum class NodeKind : std::uint8_t {
    text,          ///< text
    output,        ///< {{ value }}
    branch,        ///< if: branches
    loop,          ///< for targets in value if condition: body, else: alternative
    assign,        ///< set targets = value
    assign_block,  ///< set target: body, through the filters in value (may be null)
    macro,         ///< text, parameters, body
    call_block,    ///< call(parameters) value: body
    filter_block,  ///< filter value: body
    scope,         ///< with: parameters, body
    group,         ///< generation: body
    evaluate,      ///< do value
    break_loop,
    continue_loop,
};

/// What `set` and `for` assign to: a name, `namespace.name`, or a tuple of these.
struct Target {
    std::string name;
    std::string attribute;      ///< set for namespace.name
    std::vector<Target> tuple;  ///< set for a tuple; then the names are empty
};

struct Parameter {
    std::string name;
    ExprPtr fallback;  ///< may be null
};

struct Branch {
    ExprPtr condition;  ///< null for else
    Body body;
};

struct Node {
    NodeKind kind = NodeKind::text;
    Position at;
    std::string text;
    ExprPtr value;
    ExprPtr condition;
    Target target;
    bool recursive = false;
    std::vector<Parameter> parameters;
    std::vector<Branch> branches;
    Body body;
    Body alternative;
};

}  // namespace base::tmpl
