export * from './data-alarms';
export * from './data-dashboard';
export * from './platform-alarms';
export * from './platform-dashboard';
