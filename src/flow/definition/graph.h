#pragma once
#include "flow/definition/definition.h"
namespace flow { base::json::object graph_json(const Definition& definition); }
