/**
 * Shapes of what the service answers, for JSDoc. Holds no code.
 *
 * @typedef {"admin" | "clinician" | "auditor"} Role
 *
 * @typedef {object} Identity  GET /whoami
 * @property {string} user_id
 * @property {Role} role
 * @property {string | null} label
 * @property {string | null} expires_at
 *
 * @typedef {object} ModelInfo  GET /model/info
 * @property {string} name
 * @property {string} version
 * @property {string[]} classes
 * @property {boolean} fallback
 * @property {string | null} reason  of the fallback
 * @property {string[]} known_failures
 * @property {string[]} referral_rules
 * @property {string} notice
 * @property {Record<string, Evaluation>} evaluations  by data set
 * @property {Record<string, {shown: boolean, reason: string | null}>} explanations
 *
 * @typedef {object} Evaluation
 * @property {number} films
 * @property {import("./evaluations.js").Figure} accuracy
 * @property {Record<string, Record<"sensitivity" | "specificity" | "auroc", import("./evaluations.js").Figure>>} classes
 *
 * @typedef {Record<string, number>} Probabilities  by class name, in [0, 1]
 *
 * @typedef {object} Explanation
 * @property {string} finding
 * @property {string | null} withheld  why the map is not shown
 * @property {string[]} notes
 * @property {number[][] | null} heat  unscaled, rows of the map
 * @property {number | null} heat_max
 * @property {string | null} heatmap_png  base64, RGBA, covers the whole film
 * @property {number | null} inside_lungs  share of the heat
 * @property {number | null} lung_area  share of the film
 * @property {Record<string, number | null> | null} zones
 * @property {boolean | null} agrees_with_table_26
 *
 * @typedef {object} Answer  POST /predict/explain
 * @property {string} request_id
 * @property {string} image_sha256
 * @property {{name: string, version: string, preprocessing_id: string, site: string | null, fallback: boolean}} model
 * @property {string} headline  what to say first
 * @property {string[]} called  diseases over their threshold in the scenario in force
 * @property {string} scenario  in force
 * @property {string} prediction  the most probable class
 * @property {number} confidence
 * @property {Probabilities} probabilities
 * @property {Probabilities} raw_probabilities
 * @property {Record<string, string[]>} scenarios  diseases that each calls
 * @property {Record<string, Probabilities | null>} thresholds
 * @property {string[] | null} prediction_set
 * @property {{to_reader: boolean, reasons: {code: string, sentence: string}[]}} referral
 * @property {string[]} notes
 * @property {{format: string, width: number, height: number, bits: number}} image
 * @property {number} inference_time_ms
 * @property {string} notice
 * @property {Explanation | null} explanation
 * @property {string | null} film_png  base64, grey
 *
 * @typedef {object} AuditRecord  an item of GET /audit
 * @property {number} seq
 * @property {string} timestamp
 * @property {string} kind
 * @property {string} endpoint
 * @property {number} status
 * @property {string | null} code
 * @property {string | null} user_id
 * @property {string | null} ip_address
 * @property {string | null} prediction
 * @property {number | null} confidence
 * @property {number | null} inference_time_ms
 * @property {string | null} model_version
 * @property {string} request_id
 *
 * @typedef {object} StoredModel  an item of GET /admin/models
 * @property {string} name
 * @property {string} version
 * @property {string[]} aliases
 * @property {boolean} active
 * @property {boolean} ok
 * @property {string | null} reason
 *
 * @typedef {object} AccessKey  an item of GET /admin/keys
 * @property {string} id
 * @property {string | null} label
 * @property {Role} role
 * @property {string | null} expires_at
 * @property {string | null} [revoked_at]
 *
 * @typedef {object} Signal  an item of GET /monitoring
 * @property {string} name
 * @property {string} kind
 * @property {"drift" | "performance" | "calibration" | "operation"} group
 * @property {number | null} value  null when it is not judged
 * @property {number | null} low
 * @property {number | null} high
 * @property {number} threshold
 * @property {boolean} is_floor  over below its threshold
 * @property {string} state  ok, unsure, over, not-enough or not-judged
 * @property {number} films
 * @property {number} needed
 * @property {string} since
 * @property {string} until
 * @property {string} sentence
 * @property {Record<string, any>} detail
 *
 * @typedef {object} Point  a day of GET /monitoring/curves
 * @property {string} day
 * @property {number | null} value
 * @property {number | null} low
 * @property {number | null} high
 * @property {string} state
 * @property {number} films
 *
 * @typedef {object} WeeklyDiagram  a week of GET /monitoring/reliability
 * @property {string} since
 * @property {string} until
 * @property {number} films
 * @property {number} needed
 * @property {number | null} ece  null when it is not stated
 * @property {number | null} slope
 * @property {string[]} sentences
 * @property {{low: number, high: number, films: number, mean_probability: number | null, observed_rate: number | null}[]} bins
 *
 * @typedef {object} Alert  an item of GET /monitoring/alerts
 * @property {string} id
 * @property {string} name
 * @property {string} title
 * @property {string} signal
 * @property {"page" | "ticket" | "security"} severity
 * @property {string} sentence
 * @property {string} runbook
 * @property {string} opened_at
 * @property {string | null} closed_at
 * @property {string | null} acknowledged_at
 * @property {string | null} acknowledged_by
 *
 * @typedef {object} Evidence  of GET /monitoring/alerts/{alert_id}
 * @property {string} signal
 * @property {number | null} value
 * @property {number} threshold
 * @property {string} since
 * @property {string} until
 * @property {number} films_in_window
 * @property {Record<string, any>} detail
 * @property {{request_id: string, timestamp: string, prediction: string | null, code: string | null, label: string | null, oddness: number}[]} films
 * @property {string[]} conclusions
 * @property {string} last_over
 *
 * @typedef {object} Case  an item of GET /review
 * @property {string} feedback_id
 * @property {string} request_id
 * @property {string} reported_at
 * @property {string} label
 * @property {boolean} is_own
 * @property {{timestamp: string, prediction: string | null, confidence: number | null, referred: boolean | null, model_version: string | null}[]} answers
 */

export {};
