#pragma once
// What every group of routes calls by its short name.

#include "base/api/request_parts.h"
#include "base/core/result.h"
#include "base/http/message.h"
#include "base/json/json.h"
#include "base/json/object_reader.h"

namespace memory {

namespace json = base::json;
using base::Code;
using base::fail_on;
using base::ObjectReader;
using base::Result;
using base::api::body_of;
using base::api::json_answer;
using base::api::query_number;
using base::api::tenant_of;
using base::http::Request;
using base::http::Response;

}  // namespace memory
