import type { Route } from "./api-routes.ts";

export const pageRoutes: Readonly<Record<string, Route>> = {};
